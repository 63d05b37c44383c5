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
    for (name, place) in template.unknown() {
        assert!(text.get(place).is_some_and(|written| written.contains(name)));
        assert!(Variable::from_name(name).is_none(), "`{name}` is a variable");
    }

    // A value that looks like a template is text: it is not read again.
    let value = "{{ source.sha }}";
    match template.render(|_| Some(value.to_owned())) {
        Ok(rendered) => {
            assert!((1..=Template::MAX_VALUE_CHARACTERS).contains(&rendered.chars().count()));
            assert!(!rendered.chars().any(char::is_control));
            assert!(rendered.matches(value).count() >= template.variables().count());
            assert_eq!(template.unknown().count(), 0, "an unknown variable was rendered");
            if template.variables().count() == 0 {
                assert_eq!(rendered, text, "a text without variables changed");
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
    assert!(template.variables().next().is_none() || template.render(|_| None).is_err());
    assert!(template.variables().next().is_none() || template.render(|_| Some(String::new())).is_err());
});
