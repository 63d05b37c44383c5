//! The webhook `issue_comment`: is a comment a command, and who wrote it.
//!
//! Only the first line counts, compared byte by byte. A comment that is read in a browser may look like a command and be
//! none: that is the safe way round.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::payload::{Account, Installation, Payload, RepositoryPayload, Text, Time, event, required};
use crate::event::{Command, CommandArgument, Commenter, Event, EventKind, EventRepository};
use crate::name::{ArgumentWord, CommandName, CommentId, CommitSha, PullRequestNumber, UserId};

/// An `issue_comment` webhook.
#[derive(Deserialize)]
pub(super) struct IssueCommentPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    issue: Option<Issue>,
    #[serde(borrow)]
    comment: Option<Comment<'a>>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Deserialize)]
struct Issue {
    number: Option<u64>,
    /// Only of issues that are pull requests.
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<Account<'a>>,
    created_at: Option<Time>,
    #[serde(default)]
    performed_via_github_app: Via,
}

/// Whether a comment was written through an App.
#[derive(Default, PartialEq)]
enum Via {
    /// GitHub does not say.
    #[default]
    Unknown,
    Nobody,
    App,
}

impl<'de> Deserialize<'de> for Via {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(deserializer).map(|app| app.map_or(Self::Nobody, |_| Self::App))
    }
}

impl<'a> Payload<'a> for IssueCommentPayload<'a> {
    const REQUIRED: &'static [&'static str] = &["created"];
    const WELCOME: &'static [&'static str] = &[];

    fn action(&self) -> Option<&str> {
        self.action.as_ref().map(Text::as_str)
    }

    fn into_event(self) -> Result<Option<Event>, String> {
        let issue = required(self.issue, "issue")?;
        let comment = required(self.comment, "comment")?;
        let command = comment.body.as_ref().and_then(|body| command(body.as_str()));
        let (Some(_), Some((name, argument))) = (issue.pull_request, command) else { return Ok(None) };
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let user = required(comment.user, "comment.user")?;
        let id = required(user.id, "comment.user.id")?;
        let sent_by_himself = self.sender.as_ref().is_some_and(|sender| sender.is_user() && sender.id == Some(id));
        let kind = EventKind::Command(Command {
            comment: CommentId(required(comment.id, "comment.id")?),
            pull_request: PullRequestNumber(required(issue.number, "issue.number")?),
            name,
            argument,
            commenter: Commenter {
                id: UserId(id),
                login: required(user.login.as_ref(), "comment.user.login")?.parse("comment.user.login")?,
                person: sent_by_himself && user.is_user() && comment.performed_via_github_app == Via::Nobody,
            },
            created_at: required(comment.created_at, "comment.created_at")?.0,
        });
        Ok(Some(event(repository, self.installation, self.sender.as_ref(), kind)))
    }
}

/// The command in the first line of a comment, if there is one.
///
/// The line ends at the first LF. One CR at its end, and then blanks and tabs, do not belong to it. Nothing is folded:
/// what looks like `/` or like nothing at all is another character.
pub(crate) fn command(body: &str) -> Option<(CommandName, CommandArgument)> {
    let line = body.split('\n').next()?;
    let line = line.strip_suffix('\r').unwrap_or(line).trim_end_matches([' ', '\t']);
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    Some((name.parse().ok()?, argument_of(argument.trim_start_matches(' '))))
}

/// What stands behind a command: a word, a full commit, or one after the other. A full commit is never the word.
fn argument_of(text: &str) -> CommandArgument {
    let commit = |text: &str| text.parse::<CommitSha>().ok();
    let word = |text: &str| text.parse::<ArgumentWord>().ok().filter(|_| commit(text).is_none());
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (word(first), commit(first), rest.trim_start_matches(' ')) {
        (None, None, "") if first.is_empty() => CommandArgument::None,
        (None, Some(commit), "") => CommandArgument::Commit(commit),
        (Some(word), None, "") => CommandArgument::Word(word),
        (Some(word), None, rest) => {
            commit(rest).map_or(CommandArgument::Other, |commit| CommandArgument::WordAndCommit(word, commit))
        }
        _ => CommandArgument::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{SHA, comment_body, event, problem, with, without};
    use super::super::{Webhook, parse};
    use super::*;

    fn read(body: &Value) -> Command {
        match event("issue_comment", body).kind {
            EventKind::Command(command) => command,
            other => panic!("{other:?}"),
        }
    }

    fn ignored(body: &Value) -> bool {
        matches!(parse("issue_comment", body.to_string().as_bytes()), Ok(Webhook::Ignored { .. }))
    }

    #[test]
    fn a_command_is_an_event_without_the_rest_of_the_comment() {
        let event = event("issue_comment", &comment_body());
        insta::assert_snapshot!(serde_json::to_string_pretty(&event.kind).unwrap(), @r#"
        {
          "command": {
            "comment": 492700400000,
            "pull_request": 7,
            "name": "/test-deploy",
            "argument": "none",
            "commenter": {
              "id": 21031067,
              "login": "octocat",
              "person": true
            },
            "created_at": "2026-01-02T03:05:06Z"
          }
        }
        "#);
        assert!(!serde_json::to_string(&event).unwrap().contains("please"));
    }

    #[test]
    fn the_first_line_is_the_command_byte_by_byte() {
        let cases = [
            ("nothing else", "/deploy", true),
            ("a second line", "/deploy\nplease", true),
            ("a line as browsers send it", "/deploy\r\nplease", true),
            ("blanks and tabs behind it", "/deploy \t \r\n", true),
            ("digits, dashes and underscores", "/deploy-2_b", true),
            ("as long as a name may be", &format!("/{}", "a".repeat(50)), true),
            ("a line before it", "\n/deploy", false),
            ("a greeting before it", "please /deploy", false),
            ("a leading blank", " /deploy", false),
            ("a leading tab", "\t/deploy", false),
            ("a byte order mark", "\u{feff}/deploy", false),
            ("a zero-width space before it", "\u{200b}/deploy", false),
            ("a zero-width space behind it", "/deploy\u{200b}", false),
            ("a zero-width joiner in it", "/dep\u{200d}loy", false),
            ("a full-width solidus", "\u{ff0f}deploy", false),
            ("a fraction slash", "\u{2044}deploy", false),
            ("a full-width letter", "/\u{ff44}eploy", false),
            ("a Cyrillic letter", "/d\u{435}ploy", false),
            ("a combining mark", "/deploy\u{301}", false),
            ("a right-to-left override", "\u{202e}/deploy", false),
            ("a no-break space", "/deploy\u{a0}now", false),
            ("a line separator", "/deploy\u{2028}now", false),
            ("a vertical tab", "/deploy\u{b}now", false),
            ("a CR in the line", "/deploy\rnow", false),
            ("two CRs", "/deploy\r\r\n", false),
            ("a tab in the line", "/deploy\tnow", false),
            ("a NUL", "/deploy\0", false),
            ("capitals", "/Deploy", false),
            ("a quotation", "> /deploy", false),
            ("code", "`/deploy`", false),
            ("an HTML comment", "<!-- -->/deploy", false),
            ("a path", "/deploy/now", false),
            ("two slashes", "//deploy", false),
            ("only a slash", "/", false),
            ("a digit first", "/2deploy", false),
            ("a name that is too long", &format!("/{}", "a".repeat(51)), false),
            ("an empty comment", "", false),
        ];
        for (name, text, is_command) in cases {
            assert_eq!(command(text).is_some(), is_command, "{name}: {text:?}");
            assert_eq!(ignored(&with(comment_body(), "/comment/body", json!(text))), !is_command, "{name}: {text:?}");
        }
        assert!(ignored(&with(comment_body(), "/comment/body", Value::Null)));
    }

    #[test]
    fn behind_a_command_a_harmless_word_and_a_full_commit_are_kept_and_nothing_else() {
        let sha: CommandArgument = CommandArgument::Commit(SHA.parse().unwrap());
        let word = |word: &str| CommandArgument::Word(word.parse().unwrap());
        let longest = "x".repeat(100);
        for (line, argument) in [
            ("/deploy".to_owned(), CommandArgument::None),
            ("/deploy   ".to_owned(), CommandArgument::None),
            (format!("/deploy {SHA}"), sha.clone()),
            (format!("/deploy    {SHA} \t\r\nplease"), sha),
            ("/deploy eu-west.1".to_owned(), word("eu-west.1")),
            ("/deploy   eu  \r\nus".to_owned(), word("eu")),
            (format!("/deploy {longest}"), word(&longest)),
            (format!("/deploy {longest}x"), CommandArgument::Other),
            (
                format!("/deploy eu   {SHA}"),
                CommandArgument::WordAndCommit("eu".parse().unwrap(), SHA.parse().unwrap()),
            ),
            (format!("/deploy {}", SHA.to_uppercase()), word(&SHA.to_uppercase())),
            (format!("/deploy {SHA}0"), word(&format!("{SHA}0"))),
            (format!("/deploy {SHA} {SHA}"), CommandArgument::Other),
            (format!("/deploy {SHA} eu"), CommandArgument::Other),
            (format!("/deploy eu us {SHA}"), CommandArgument::Other),
            ("/deploy eu us".to_owned(), CommandArgument::Other),
            ("/deploy -rf".to_owned(), CommandArgument::Other),
            ("/deploy --force=yes".to_owned(), CommandArgument::Other),
            ("/deploy e\u{443}".to_owned(), CommandArgument::Other),
            (format!("/deploy \t{SHA}"), CommandArgument::Other),
            (format!("/deploy {SHA}\u{200b}"), CommandArgument::Other),
            ("/deploy $(curl${IFS}x|sh)".to_owned(), CommandArgument::Other),
            ("/deploy $(curl${IFS}x|sh) {{ pr.number }}".to_owned(), CommandArgument::Other),
        ] {
            let body = with(comment_body(), "/comment/body", json!(line));
            assert_eq!(read(&body).argument, argument, "{line:?}");
            assert!(!serde_json::to_string(&event("issue_comment", &body)).unwrap().contains("curl"));
        }
    }

    #[test]
    fn command_by_edit() {
        for action in ["edited", "deleted", "pinned", "Created"] {
            assert!(ignored(&with(comment_body(), "/action", json!(action))), "{action}");
        }
        let odd = json!({ "action": "edited", "comment": 7, "issue": [] });
        assert!(ignored(&odd));
    }

    #[test]
    fn command_in_an_issue() {
        assert!(ignored(&without(comment_body(), "/issue", "pull_request")));
        assert!(ignored(&with(comment_body(), "/issue/pull_request", Value::Null)));
    }

    #[test]
    fn a_person_comments_himself() {
        assert!(read(&comment_body()).commenter.person);
    }

    #[test]
    fn a_comment_by_a_bot() {
        assert!(!read(&with(comment_body(), "/comment/user/type", json!("Bot"))).commenter.person);
        assert!(!read(&with(comment_body(), "/sender/type", json!("Bot"))).commenter.person);
        assert!(!read(&without(comment_body(), "/sender", "type")).commenter.person);
    }

    #[test]
    fn a_comment_under_the_name_of_somebody_else() {
        let command = read(&with(comment_body(), "/sender/id", json!(2)));
        assert!(!command.commenter.person);
        assert_eq!(command.commenter.id, UserId(21_031_067), "the author of the comment, not who sent it");
        assert!(!read(&with(comment_body(), "/sender", Value::Null)).commenter.person);
    }

    #[test]
    fn a_comment_through_an_app() {
        let app = json!({ "id": 3, "slug": "helpful" });
        assert!(!read(&with(comment_body(), "/comment/performed_via_github_app", app)).commenter.person);
        let unknown = without(comment_body(), "/comment", "performed_via_github_app");
        assert!(!read(&unknown).commenter.person, "where GitHub does not say, it is not taken for nobody's");
    }

    #[test]
    fn a_command_that_cannot_be_read_says_why() {
        let wrong =
            |place: &str, value: Value| problem("issue_comment", &with(comment_body(), place, value).to_string());
        insta::assert_snapshot!([
            wrong("/issue", Value::Null),
            wrong("/issue/number", Value::Null),
            wrong("/comment", Value::Null),
            wrong("/comment/id", json!("7")),
            wrong("/comment/user", Value::Null),
            wrong("/comment/user/id", Value::Null),
            wrong("/comment/user/login", json!("a`b")),
            wrong("/comment/created_at", Value::Null),
        ].join("\n"), @r#"
        the body is not a `issue_comment` payload: `issue` is missing
        the body is not a `issue_comment` payload: `issue.number` is missing
        the body is not a `issue_comment` payload: `comment` is missing
        the body is not a `issue_comment` payload: invalid type: string "7", expected u64 at line 1 column 136
        the body is not a `issue_comment` payload: `comment.user` is missing
        the body is not a `issue_comment` payload: `comment.user.id` is missing
        the body is not a `issue_comment` payload: `comment.user.login`: `a\u{60}b` is not a login
        the body is not a `issue_comment` payload: `comment.created_at` is missing
        "#);
    }
}
