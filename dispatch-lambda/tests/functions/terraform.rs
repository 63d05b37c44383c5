//! What the Terraform module says of the functions: which variables each is given, and what its role allows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Who may do what with what: `function: action on resource`, one a line.
pub(crate) type Permissions = BTreeSet<String>;

/// Which parts of the environment each function is given.
pub(crate) fn environments() -> BTreeMap<String, Vec<String>> {
    let text = read("lambda.tf");
    let words = |list: &str| list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let function = |line: &str| {
        let (name, rest) = line.split_once(" = { timeout = ")?;
        Some((name.trim().to_owned(), words(rest.split_once("environment = ")?.1)))
    };
    text.lines().filter_map(function).collect()
}

/// What the roles allow, as far as the functions themselves need it.
pub(crate) fn allowed() -> Permissions {
    let roles: Value = serde_json::from_str(&read("permissions.json")).unwrap();
    let mut allowed = Permissions::new();
    for (function, role) in roles.as_object().unwrap() {
        for (resource, actions) in role["calls"].as_object().unwrap() {
            let actions = actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap());
            allowed.extend(actions.map(|action| format!("{function}: {action} on {resource}")));
        }
    }
    allowed
}

fn read(file: &str) -> String {
    let module = "../infrastructure/terraform/modules/dispatch_service";
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(module).join(file)).unwrap()
}
