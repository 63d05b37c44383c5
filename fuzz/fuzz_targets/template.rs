//! Any text is a template or has a problem with a place; what is rendered is within the limits and holds no second round.
#![no_main]

use dispatch_core::template::{Template, Variable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            assert!(text.get(error.start..error.end).is_some(), "{error:?} is not a place of the text");
            return;
        }
    };
    assert_eq!(template.as_str(), text);
    for (name, place) in template.names() {
        assert!(text.get(place).is_some_and(|written| written.contains(name)));
    }
    let unknown = template.names().filter(|(name, _)| Variable::from_name(name).is_none()).count();
    assert_eq!(template.names().count() - unknown, template.variables().count());

    // A value that looks like a template is text: it is not read again.
    let value = "{{ source.sha }}";
    match template.render(|_| Some(value.to_owned())) {
        Ok(rendered) => {
            assert!((1..=Template::MAX_VALUE_CHARACTERS).contains(&rendered.chars().count()));
            assert!(!rendered.chars().any(char::is_control));
            assert!(rendered.matches(value).count() >= template.variables().count());
            assert_eq!(unknown, 0, "an unknown variable was rendered");
            if template.variables().count() == 0 {
                assert_eq!(rendered, text, "a text without variables changed");
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
    // What has a value has one with its JSON type too, and only `| json` sends another type than text.
    let digit = template.render(|_| Some("7".to_owned())).ok();
    let typed = template.render_json(|_| Some("7".to_owned())).ok();
    assert_eq!(typed.is_some(), digit.is_some());
    assert!(template.is_json() || typed.is_none_or(|typed| typed.as_str() == digit.as_deref()));
    assert!(template.variables().next().is_none() || template.render(|_| None).is_err());
    assert!(template.variables().next().is_none() || template.render(|_| Some(String::new())).is_err());
});
