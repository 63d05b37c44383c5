//! A file of tests as it is written.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::policy::raw::{At, Flag, List, Map, Number, Text, Written, written};

written! {
    /// The file.
    File {
        policies: Text,
        limits: Map<Text>,
        tests: List<Test>,
    }

    /// `tests[]`
    Test {
        name: Text,
        when: When,
        then: List<Start>,
        denied: List<Denial>,
        skipped: Text,
    }

    /// `tests[].when`
    When {
        repository: Text,
        repository_id: Number,
        default_branch: Text,
        fork: Flag,
        sender: Text,
        workflow: Text,
        conclusion: Text,
        event: Text,
        branch: Text,
        sha: Text,
        run_id: Number,
        attempt: Number,
        newer_run: Flag,
        pull_request: Text,
        merged: Flag,
        command: Text,
        argument: Text,
        permission: Text,
        teams: List<Text>,
        author: Text,
        state: Text,
        number: Number,
        base: Text,
        head_branch: Text,
        head_sha: Text,
        draft: Flag,
        environments: List<Environment>,
    }

    /// `tests[].when.environments[]`
    Environment {
        repository: Text,
        name: Text,
        base: Text,
        deploy: Text,
        url: Text,
        held_by: List<Number>,
    }

    /// `tests[].then[]`
    Start {
        repository: Text,
        workflow: Text,
        event: Text,
        #[serde(rename = "ref")]
        git_ref: Text,
        inputs: Map<Text>,
        payload: Map<Scalar>,
    }

    /// `tests[].denied[]`
    Denial {
        repository: Text,
        workflow: Text,
        event: Text,
        reason: Text,
    }
}

/// Text, a number or a boolean, with the JSON type that it is written with.
pub(super) struct Scalar(pub(super) serde_json::Value);

impl Written for Scalar {
    const KIND: &'static str = "text, a number, `true` or `false`";
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_yaml::Value;
        let value = match Value::deserialize(deserializer)? {
            Value::String(text) => Some(text.into()),
            Value::Bool(flag) => Some(flag.into()),
            Value::Number(number) => number.as_u64().map(Into::into),
            _ => None,
        };
        value.map(Self).ok_or_else(|| D::Error::custom(Self::KIND))
    }
}
