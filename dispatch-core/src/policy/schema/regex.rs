//! Regular expressions for texts of the file: what the types of [`name`](crate::name), [`pattern`](crate::pattern) and
//! [`template`](crate::template) check, said once more so that an editor can check it too.
//!
//! All of them are ECMA-262 with the flag `u`, and mean the same to `fancy_regex`. A length is counted in characters.

use std::ops::RangeInclusive;

use super::super::check::environment::{BRANCHES, IDENTIFIERS, NUMBERED, sample};
use crate::template::{Template, Variable};

/// Control characters, for the inside of brackets.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// What else [`str::trim`] removes.
const SPACE: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// What else [`hidden`](crate::quote::hidden) names.
const HIDDEN: &str = r"\u00ad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}";
/// What no part of a ref has.
const NO_REF: &str = r" ~^:?*\[\\";
/// What no ref has in it, wherever it is.
const NOWHERE_IN_REF: &str = r"(?![\s\S]*(?:\.\.|\.$|\.lock(?:/|$)))";
const OWNER: &str = "[A-Za-z0-9_][A-Za-z0-9_-]{0,38}";

/// A bare name, or `owner/name`.
pub(super) fn repository() -> String {
    let name = r"(?!\.{1,2}$)(?![\s\S]*\.(?:[Gg][Ii][Tt]|[Ww][Ii][Kk][Ii])$)[A-Za-z0-9._-]{1,100}";
    format!("^(?:{OWNER}/)?{name}$")
}

pub(super) fn workflow_file() -> String {
    let letter = r"\p{Alphabetic}\p{N}_\- +(),";
    format!(r"^(?:\.github/workflows/)?(?=[^/]{{1,255}}$)[{letter}][.{letter}]*\.ya?ml$")
}

/// A bare name, or `owner/name`, with wildcards.
pub(super) fn repository_glob() -> String {
    let owner = "[A-Za-z0-9_*?][A-Za-z0-9_*?-]{0,38}";
    let name = r"(?!\.{1,2}$)(?![\s\S]*\.(?:[Gg][Ii][Tt]|[Ww][Ii][Kk][Ii])$)[A-Za-z0-9._*?-]{1,100}";
    format!("^(?:{owner}/)?{name}$")
}

/// The name of a workflow file, with wildcards.
pub(super) fn workflow_glob() -> String {
    let letter = r"\p{Alphabetic}\p{N}_\- +(),*?";
    format!(r"^(?! )(?=[^/]{{1,255}}$)[{letter}][.{letter}]*\.y[a*?]?ml$")
}

pub(super) fn event_type() -> String {
    "^[A-Za-z0-9._:/-]{1,100}$".to_owned()
}

pub(super) fn command() -> String {
    "^/[a-z][a-z0-9_-]{0,49}$".to_owned()
}

pub(super) fn team() -> String {
    format!("^{OWNER}/[a-z0-9_-]{{1,100}}$")
}

/// An event that starts workflows.
pub(super) fn github_event() -> String {
    "^[a-z_]{1,100}$".to_owned()
}

/// The name of an input, or of a property of a payload.
pub(super) fn value_name(longest: usize) -> String {
    format!("^[A-Za-z0-9_-]{{1,{longest}}}$")
}

pub(super) fn link_name(longest: usize) -> String {
    format!(r"^(?![{SPACE}]|[\s\S]*[{SPACE}]$)[^{CONTROL}{HIDDEN}]{{1,{longest}}}$")
}

pub(super) fn glob() -> String {
    let inside = format!(r"[^\[\\{CONTROL}]");
    let edge = format!(r"[^\[\\{CONTROL}{SPACE}]");
    format!("^(?!!){edge}(?:{inside}*{edge})?$")
}

pub(super) fn git_ref() -> String {
    let first = format!("[^./{NO_REF}{CONTROL}]");
    let next = format!("[^/{NO_REF}{CONTROL}]");
    let none = r"(?!refs/|pull/|-|@$|[0-9A-Fa-f]{40}$)(?![\s\S]*@\{)";
    format!("^(?:refs/(?:heads|tags)/)?{none}{NOWHERE_IN_REF}{first}{next}*(?:/{first}{next}*)*$")
}

/// A branch in which variables may stand.
pub(super) fn deployed_branch() -> String {
    let variable = any_of(BRANCHES);
    let brace = r"\{(?!\{)";
    let first = format!("(?:{variable}|[^./{{{NO_REF}{CONTROL}]|{brace})");
    let next = format!("(?:{variable}|[^/{{{NO_REF}{CONTROL}]|{brace})");
    let digit = format!("(?:[0-9A-Fa-f]|{})", any_of(NUMBERED));
    let none = format!(r"(?!refs/|pull/|-|@$|{digit}{{40}}$)(?![\s\S]*@\{{(?!\{{))");
    let short = format!(r"(?=(?:{variable}|[^{{]|{brace}){{1,255}}$)");
    format!("^{short}{none}{NOWHERE_IN_REF}{first}{next}*(?:/{first}{next}*)*$")
}

pub(super) fn environment_name() -> String {
    let variable = any_of(NUMBERED);
    format!("^(?:[A-Za-z0-9_]|{variable})(?:[A-Za-z0-9._-]|{variable}){{0,99}}$")
}

/// A text of an environment.
pub(super) fn described() -> String {
    template(IDENTIFIERS)
}

/// An https address: in its host stands no variable whose value a branch could be.
pub(super) fn address() -> String {
    let fixed: Vec<_> =
        IDENTIFIERS.iter().copied().filter(|it| sample(*it, "main") == sample(*it, "release/1")).collect();
    let letter = format!("[A-Za-z0-9]|{}", any_of(&fixed));
    let label = format!("(?:{letter})(?:(?:{letter}|-){{0,61}}(?:{letter}))?");
    let short = format!("(?=(?:{letter}|[.-]){{1,253}}(?:[/?#:]|$))");
    let number = any_of(NUMBERED);
    // Where a number is filled in it is tried with a 7.
    let port = numbers(1..=u16::MAX.into(), &|low, high| match (low..=high).contains(&7) {
        true => format!("(?:{}|{number})", digit(low, high)),
        false => digit(low, high),
    });
    let visible = r"[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]";
    let behind = format!("[/?#](?:{visible}|{})*", any_of(IDENTIFIERS));
    format!(r"^https://{short}{label}(?:\.{label})*(?::0*{port})?(?:{behind})?$")
}

/// A time such as `90m`, of so many seconds.
pub(super) fn time(seconds: &RangeInclusive<u64>, units: &[(char, u64)]) -> String {
    let times: Vec<_> = units
        .iter()
        .map(|(unit, length)| {
            let (low, high) = (seconds.start().div_ceil(*length), seconds.end() / length);
            format!("{}{unit}", numbers(low..=high, &digit))
        })
        .collect();
    format!("^(?=[0-9]{{1,7}}[a-z]$)0*(?:{})$", times.join("|"))
}

/// A text in which these variables may stand, which can be sent.
pub(super) fn template(variables: &[Variable]) -> String {
    let longest = Template::MAX_VALUE_CHARACTERS;
    format!(r"^(?:{}|[^{{{CONTROL}]|\{{(?!\{{)){{1,{longest}}}$", any_of(variables))
}

/// The same, or one of these variables with its JSON type.
pub(super) fn json_template(variables: &[Variable]) -> String {
    format!(r"{}|^\{{\{{[ \t]*(?:{})[ \t]*\|[ \t]*json[ \t]*\}}\}}$", template(variables), names(variables))
}

/// One of the variables, as a template writes it.
fn any_of(variables: &[Variable]) -> String {
    format!(r"\{{\{{[ \t]*(?:{})[ \t]*\}}\}}", names(variables))
}

fn names(variables: &[Variable]) -> String {
    variables.iter().map(|variable| variable.name().replace('.', r"\.")).collect::<Vec<_>>().join("|")
}

/// The whole numbers of a range, without leading zeros. `digit` matches a digit from the first to the second.
fn numbers(range: RangeInclusive<u64>, digit: &dyn Fn(u8, u8) -> String) -> String {
    let mut shapes = Vec::new();
    let mut low = *range.start();
    while low <= *range.end() {
        let longest = 10_u64.saturating_pow(low.max(1).ilog10() + 1) - 1;
        let high = longest.min(*range.end());
        let [first, last] = [low, high].map(|number| number.to_string().bytes().map(|b| b - b'0').collect::<Vec<_>>());
        shapes.push(between(&first, &last, digit));
        low = high + 1;
    }
    format!("(?:{})", shapes.join("|"))
}

/// A digit from the first to the second.
fn digit(low: u8, high: u8) -> String {
    if low == high { low.to_string() } else { format!("[{low}-{high}]") }
}

/// The numbers between two of the same length.
fn between(low: &[u8], high: &[u8], digit: &dyn Fn(u8, u8) -> String) -> String {
    let (Some((first, low)), Some((last, high))) = (low.split_first(), high.split_first()) else {
        return String::new();
    };
    let [zeros, nines] = [0, 9].map(|fill| vec![fill; low.len()]);
    let any = |count: usize| match count {
        0 => String::new(),
        count => format!("{}{{{count}}}", digit(0, 9)),
    };
    if low == zeros && high == nines {
        return digit(*first, *last) + &any(low.len());
    }
    if first == last {
        return digit(*first, *last) + &between(low, high, digit);
    }
    let mut shapes = vec![digit(*first, *first) + &between(low, &nines, digit)];
    if first + 1 < *last {
        shapes.push(digit(first + 1, last - 1) + &any(low.len()));
    }
    shapes.push(digit(*last, *last) + &between(&zeros, high, digit));
    format!("(?:{})", shapes.join("|"))
}
