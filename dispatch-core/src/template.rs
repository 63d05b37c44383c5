//! Values with variables: `{{ source.sha }}`. Parsed when the policy loads, rendered when an event is planned.
//!
//! A template is text and the names of variables, nothing else: no expressions, no loops, no calls. Rendering is one
//! pass, so a value that looks like a variable is sent as it is. A template that is one variable and nothing else may say
//! `| json` behind its name: then a number or a boolean is sent as such, where JSON is sent.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A value with variables, as a policy file holds it. A template may name a variable that does not exist: that is an
/// error for lint, and at run time it denies only the target that uses it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Sent as it is.
    Text(Box<str>),
    /// Replaced by its value. With the bytes of the name in the template.
    Variable(Variable, Range<usize>),
    /// Replaced by its value, as JSON. Stands alone.
    Json(Variable, Range<usize>),
    /// The name of a variable that does not exist, and its bytes in the template.
    Unknown(Box<str>, Range<usize>),
}

/// Declares the variables once: variant, name.
macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A variable of a template.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Variable {
            $($(#[$doc])* $variant,)*
        }

        impl Variable {
            /// Every variable, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as templates write it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

variables! {
    /// `source.sha`: the commit that the run ran at.
    SourceSha = "source.sha";
    /// `source.head_branch`: the branch that the run ran on. A stranger can choose it.
    SourceHeadBranch = "source.head_branch";
    /// `source.run_id`: the run's id.
    SourceRunId = "source.run_id";
    /// `source.run_url`: the run's page.
    SourceRunUrl = "source.run_url";
    /// `source.repo`: `owner/name`.
    SourceRepo = "source.repo";
    /// `source.workflow`: the workflow's file name.
    SourceWorkflow = "source.workflow";
    /// `pr.number`: the pull request's number.
    PrNumber = "pr.number";
    /// `pr.action`: what happened to the pull request: `opened`, `synchronize`, `reopened` or `closed`.
    PrAction = "pr.action";
    /// `pr.head_sha`: the pull request's newest commit.
    PrHeadSha = "pr.head_sha";
    /// `pr.head_branch`: the branch with the changes. A stranger can choose it.
    PrHeadBranch = "pr.head_branch";
    /// `pr.base_branch`: the branch that it wants to change.
    PrBaseBranch = "pr.base_branch";
    /// `pr.merged`: whether it was merged.
    PrMerged = "pr.merged";
    /// `pr.draft`: whether it is a draft.
    PrDraft = "pr.draft";
    /// `sender.login`: whose doing the event is. A stranger can choose it.
    SenderLogin = "sender.login";
    /// `command.argument`: the word behind the command. Who may give the command chooses it.
    CommandArgument = "command.argument";
    /// `comment.id`: the comment that is the command.
    CommentId = "comment.id";
    /// `env.name`: the environment's name.
    EnvName = "env.name";
    /// `env.base`: the branch for whose pull requests the environment was created.
    EnvBase = "env.base";
    /// `env.deploy`: the branch that is deployed there. A stranger can choose it where it is the pull request's own.
    EnvDeploy = "env.deploy";
    /// `env.url`: where the environment can be seen.
    EnvUrl = "env.url";
}

impl Variable {
    /// The variable of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|variable| variable.name() == name)
    }

    /// Whether somebody without any right in the source repository can choose the value. Such a value must be made of
    /// harmless characters.
    #[must_use]
    pub fn chosen_by_stranger(self) -> bool {
        matches!(
            self,
            Self::SourceHeadBranch | Self::PrHeadBranch | Self::SenderLogin | Self::CommandArgument | Self::EnvDeploy
        )
    }

    /// A value of this variable as JSON: a number or a boolean where it is one for every event, else a string.
    #[must_use]
    pub fn as_json(self, value: String) -> serde_json::Value {
        match self {
            Self::SourceRunId | Self::PrNumber | Self::CommentId => {
                value.parse::<u64>().map_or(serde_json::Value::String(value), Into::into)
            }
            Self::PrMerged | Self::PrDraft => {
                value.parse::<bool>().map_or(serde_json::Value::String(value), Into::into)
            }
            _ => serde_json::Value::String(value),
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// What is wrong, without text of the template.
    pub problem: String,
    /// The byte where the wrong part starts.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// A template has no value for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No such variable.
    #[error("there is no variable `{}`", .0.escape_debug())]
    UnknownVariable(String),
    /// The variable has no value for this event.
    #[error("`{0}` has no value for this event")]
    NoValue(&'static str),
    /// The value, or the value of a variable in it, is empty.
    #[error("the value is empty")]
    Empty,
    /// The value has a control character.
    #[error("the value has a control character")]
    ControlCharacter,
    /// The value is longer than [`Template::MAX_VALUE_CHARACTERS`].
    #[error("the value has {0} characters, and at most 1,024 are sent")]
    TooLong(usize),
}

impl Template {
    /// The longest value that is sent, in characters.
    pub const MAX_VALUE_CHARACTERS: usize = 1_024;

    /// Reads a template.
    ///
    /// # Errors
    /// `{{` without `}}`, or something between them that is not shaped like a variable's name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut offset = 0;
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let start = offset + before.len();
            let Some((inside, after)) = behind.split_once("}}") else {
                return Err(TemplateError {
                    problem: "`{{` is never closed with `}}`".to_owned(),
                    start,
                    end: start + "{{".len(),
                });
            };
            let end = start + "{{".len() + inside.len() + "}}".len();
            push_text(&mut parts, before);
            let part = variable(inside, start, end)?;
            if matches!(part, Part::Json(..)) && !(before.is_empty() && offset == 0 && after.is_empty()) {
                let problem = "a value with `| json` has nothing before or behind it".to_owned();
                return Err(TemplateError { problem, start, end });
            }
            parts.push(part);
            (offset, rest) = (end, after);
        }
        push_text(&mut parts, rest);
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables that it uses, in order.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable, _) | Part::Json(variable, _) => Some(*variable),
            Part::Text(_) | Part::Unknown(..) => None,
        })
    }

    /// The names in it, of variables and of what is none, in order, each with its bytes in the template.
    pub fn names(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable, bytes) | Part::Json(variable, bytes) => Some((variable.name(), bytes.clone())),
            Part::Unknown(name, bytes) => Some((&**name, bytes.clone())),
        })
    }

    /// What is sent whatever the values are.
    #[must_use]
    pub fn literal(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(&**text),
                Part::Variable(..) | Part::Json(..) | Part::Unknown(..) => None,
            })
            .collect()
    }

    /// Whether the value is sent with its JSON type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Json(..)])
    }

    /// The value for an event, with the JSON type that the template asks for. `value` gives a variable's value.
    ///
    /// # Errors
    /// [`RenderError`]. Nothing is cut to fit.
    pub fn render_json(&self, value: impl Fn(Variable) -> Option<String>) -> Result<serde_json::Value, RenderError> {
        let rendered = self.render(value)?;
        Ok(match self.parts.as_slice() {
            [Part::Json(variable, _)] => variable.as_json(rendered),
            _ => serde_json::Value::String(rendered),
        })
    }

    /// Whether somebody without any right in the source repository can choose a part of the value.
    #[must_use]
    pub fn chosen_by_stranger(&self) -> bool {
        self.variables().any(Variable::chosen_by_stranger)
    }

    /// The value for an event. `value` gives a variable's value.
    ///
    /// # Errors
    /// [`RenderError`]. Nothing is cut to fit.
    pub fn render(&self, value: impl Fn(Variable) -> Option<String>) -> Result<String, RenderError> {
        let mut rendered = String::new();
        let mut characters = 0;
        for part in &self.parts {
            let computed;
            let piece = match part {
                Part::Text(text) => text,
                Part::Variable(variable, _) | Part::Json(variable, _) => {
                    computed = value(*variable).ok_or(RenderError::NoValue(variable.name()))?;
                    if computed.is_empty() {
                        return Err(RenderError::Empty);
                    }
                    computed.as_str()
                }
                Part::Unknown(name, _) => return Err(RenderError::UnknownVariable(name.to_string())),
            };
            characters += piece.chars().count();
            // Past the limit only the length still matters.
            if characters <= Self::MAX_VALUE_CHARACTERS {
                rendered.push_str(piece);
            }
        }
        match rendered {
            _ if characters == 0 => Err(RenderError::Empty),
            _ if characters > Self::MAX_VALUE_CHARACTERS => Err(RenderError::TooLong(characters)),
            _ if rendered.chars().any(char::is_control) => Err(RenderError::ControlCharacter),
            rendered => Ok(rendered),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.text)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

/// Reads what is between `{{` and `}}`; `start` and `end` are the bytes of the whole.
fn variable(inside: &str, start: usize, end: usize) -> Result<Part, TemplateError> {
    let (name, filter) = inside.split_once('|').map_or((inside, None), |(name, filter)| (name, Some(filter)));
    let [name, filter] = [name, filter.unwrap_or("json")].map(|part| part.trim_matches([' ', '\t']));
    let is_json = inside.contains('|');
    let problem = if name.is_empty() {
        "there is no variable between `{{` and `}}`"
    } else if filter != "json" {
        "only `| json` may follow the name of a variable"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "between `{{` and `}}` stands the name of a variable and nothing else"
    } else {
        let name_start = start + "{{".len() + inside.find(name).unwrap_or_default();
        let bytes = name_start..name_start + name.len();
        return Ok(match Variable::from_name(name) {
            Some(variable) if is_json => Part::Json(variable, bytes),
            Some(variable) => Part::Variable(variable, bytes),
            None => Part::Unknown(name.into(), bytes),
        });
    };
    Err(TemplateError { problem: problem.to_owned(), start, end })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(variable: Variable) -> Option<String> {
        match variable {
            Variable::SourceSha => Some("{{ source.repo }}".to_owned()),
            Variable::SourceHeadBranch => None,
            Variable::SourceRunId => Some("30433642".to_owned()),
            Variable::SourceRunUrl => Some(String::new()),
            Variable::SourceRepo => Some("acme/api".to_owned()),
            Variable::SourceWorkflow => Some("a\u{7}b".to_owned()),
            Variable::PrMerged => Some("true".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_template_renders() {
        let table = [
            ("production", Ok("production")),
            ("{{ source.repo }}", Ok("acme/api")),
            ("{{source.repo}}", Ok("acme/api")),
            ("run {{ source.run_id }} of {{ source.repo }}!", Ok("run 30433642 of acme/api!")),
            ("{{ source.sha }}", Ok("{{ source.repo }}")),
            (r#"{"a": {"b": 1}}"#, Ok(r#"{"a": {"b": 1}}"#)),
            ("", Err(RenderError::Empty)),
            ("x{{ source.run_url }}", Err(RenderError::Empty)),
            ("{{ source.head_branch }}", Err(RenderError::NoValue("source.head_branch"))),
            ("{{ source.workflow }}", Err(RenderError::ControlCharacter)),
            ("a\nb", Err(RenderError::ControlCharacter)),
            ("{{ source.shaa }}", Err(RenderError::UnknownVariable("source.shaa".to_owned()))),
        ];
        for (text, expected) in table {
            let rendered = Template::parse(text).unwrap().render(value);
            assert_eq!(rendered, expected.map(str::to_owned), "`{text}`");
        }
    }

    #[test]
    fn a_value_may_have_1024_characters_and_not_one_more() {
        let render = |length: usize| Template::parse(&"ü".repeat(length)).unwrap().render(value);
        assert_eq!(render(1_024).unwrap().chars().count(), 1_024);
        assert_eq!(render(1_025), Err(RenderError::TooLong(1_025)));
    }

    #[test]
    fn a_malformed_template_is_refused_at_its_place() {
        let table = [
            ("a {{ source.sha", 2..4),
            ("{{", 0..2),
            ("{{ source.sha }} {{ }}", 17..22),
            ("{{ source.sha | upper }}", 0..24),
            ("x{{ source.sha | json }}", 1..24),
            ("{{ source.sha }}{{ source.sha | json }}", 16..39),
            ("{{ source sha }}", 0..16),
            ("{{{ source.sha }}}", 0..17),
            ("{{ source.sha\n}}", 0..16),
            ("{{ $(id) }}", 0..11),
        ];
        for (text, bytes) in table {
            let error = Template::parse(text).unwrap_err();
            assert_eq!(error.start..error.end, bytes, "`{text}`: {error}");
        }
    }

    #[test]
    fn a_name_is_kept_with_its_bytes() {
        let template = Template::parse("ü{{  source.shaa }}{{ source.sha }}{{x}}").unwrap();
        let names = [("source.shaa", 6..17), ("source.sha", 23..33), ("x", 38..39)];
        assert_eq!(template.names().collect::<Vec<_>>(), names);
        assert_eq!(template.variables().collect::<Vec<_>>(), [Variable::SourceSha]);
    }

    #[test]
    fn a_stored_template_is_its_text_and_is_read_like_one() {
        let text = "run {{ source.run_id }} of {{ source.shaa }}";
        let template = Template::parse(text).unwrap();
        assert_eq!(serde_json::to_value(&template).unwrap(), text);
        assert_eq!(serde_json::from_value::<Template>(text.into()).unwrap(), template);
        assert!(serde_json::from_value::<Template>("{{".into()).is_err());
    }

    #[test]
    fn a_value_has_its_json_type_where_the_template_asks_for_it() {
        let table = [
            ("{{ pr.merged | json }}", serde_json::json!(true)),
            ("{{ pr.merged|json }}", serde_json::json!(true)),
            ("{{ pr.merged }}", serde_json::json!("true")),
            ("{{ source.run_id | json }}", serde_json::json!(30_433_642)),
            ("{{ source.repo | json }}", serde_json::json!("acme/api")),
        ];
        for (text, expected) in table {
            assert_eq!(Template::parse(text).unwrap().render_json(value), Ok(expected), "`{text}`");
        }
    }

    #[test]
    fn branches_logins_and_words_of_commands_are_chosen_by_strangers() {
        let chosen: Vec<_> = Variable::ALL.iter().filter(|variable| variable.chosen_by_stranger()).collect();
        let expected = [
            Variable::SourceHeadBranch,
            Variable::PrHeadBranch,
            Variable::SenderLogin,
            Variable::CommandArgument,
            Variable::EnvDeploy,
        ];
        assert_eq!(chosen, expected.iter().collect::<Vec<_>>());
        assert!(Template::parse("x-{{ source.head_branch }}").unwrap().chosen_by_stranger());
        assert!(!Template::parse("source.head_branch").unwrap().chosen_by_stranger());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_place_inside_it(text in "[{} a-z.|ü]{0,24}") {
            match Template::parse(&text) {
                Ok(template) => prop_assert_eq!(template.as_str(), &text),
                Err(error) => prop_assert!(error.start < error.end && error.end <= text.len()),
            }
        }

        #[test]
        fn values_are_never_expanded_again(secret in "[a-z]{1,10}", inside in "[{} a-z.]{1,20}") {
            let template = Template::parse("{{ source.sha }}").unwrap();
            let rendered = template.render(|variable| match variable {
                Variable::SourceSha => Some(inside.clone()),
                _ => Some(secret.clone()),
            });
            prop_assert_eq!(rendered, Ok(inside));
        }
    }
}
