//! A file as YAML has it: what an editor hands to a schema, and what can be changed and written again.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// The entries of a mapping.
pub(crate) type Entries = Vec<(String, Tree)>;

/// A node. Keys and plain scalars are kept as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Scalar { text: String, plain: bool },
    List(Vec<Tree>),
    Map(Entries),
}

impl Tree {
    pub(crate) fn plain(text: &str) -> Self {
        Self::Scalar { text: text.to_owned(), plain: true }
    }

    pub(crate) fn quoted(text: &str) -> Self {
        Self::Scalar { text: text.to_owned(), plain: false }
    }

    /// Reads YAML that passes the gate. A file without content is null.
    pub(crate) fn read(text: &str) -> Self {
        let mut open: Vec<(Self, Option<String>)> = Vec::new();
        let mut root = Self::plain("");
        for event in Parser::new_from_str(text) {
            let node = match event.unwrap().0 {
                Event::Scalar(text, style, _, _) => {
                    if let Some((Self::Map(_), key @ None)) = open.last_mut() {
                        *key = Some(text.into_owned());
                        continue;
                    }
                    Self::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
                }
                Event::SequenceStart(..) => {
                    open.push((Self::List(Vec::new()), None));
                    continue;
                }
                Event::MappingStart(..) => {
                    open.push((Self::Map(Vec::new()), None));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
                _ => continue,
            };
            match open.last_mut() {
                None => root = node,
                Some((Self::List(entries), _)) => entries.push(node),
                Some((Self::Map(entries), key)) => entries.push((key.take().unwrap(), node)),
                Some((Self::Scalar { .. }, _)) => unreachable!("a scalar holds nothing"),
            }
        }
        root
    }

    /// The value, as an editor sees it: YAML 1.2, core schema.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Scalar { text, plain: false } => text.as_str().into(),
            Self::Scalar { text, plain: true } => core(text),
            Self::List(entries) => entries.iter().map(Self::value).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, entry)| (key.clone(), entry.value())).collect::<Map<_, _>>().into()
            }
        }
    }

    /// The file, on one line.
    pub(crate) fn yaml(&self) -> String {
        match self {
            Self::Scalar { text, plain: true } if text.is_empty() => "~".to_owned(),
            Self::Scalar { text, plain } => written(text, *plain),
            Self::List(entries) => format!("[{}]", entries.iter().map(Self::yaml).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) => {
                let entry = |(key, entry): &(String, Self)| format!("{}: {}", written(key, true), entry.yaml());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// This node and all below it, the outer ones first.
    pub(crate) fn nodes(&mut self) -> usize {
        1 + match self {
            Self::Scalar { .. } => 0,
            Self::List(entries) => entries.iter_mut().map(Self::nodes).sum(),
            Self::Map(entries) => entries.iter_mut().map(|(_, entry)| entry.nodes()).sum(),
        }
    }

    /// The node at a position of [`nodes`](Self::nodes).
    pub(crate) fn node(&mut self, position: usize) -> &mut Self {
        if position == 0 {
            return self;
        }
        let entries: Vec<&mut Self> = match self {
            Self::Scalar { .. } => Vec::new(),
            Self::List(entries) => entries.iter_mut().collect(),
            Self::Map(entries) => entries.iter_mut().map(|(_, entry)| entry).collect(),
        };
        let mut rest = position - 1;
        for entry in entries {
            let below = entry.nodes();
            if rest < below {
                return entry.node(rest);
            }
            rest -= below;
        }
        panic!("there is no node {position}")
    }
}

/// What a plain scalar is (YAML 1.2.2, section 10.3.2).
pub(crate) fn core(text: &str) -> Value {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        ".nan" | ".NaN" | ".NAN" => float(0.0),
        _ if matches!(rest, ".inf" | ".Inf" | ".INF") => float(sign * f64::MAX),
        _ if let Some(number) = whole(text) => number,
        _ if is_float(rest) => float(text.trim_start_matches('+').parse::<f64>().unwrap().clamp(-f64::MAX, f64::MAX)),
        _ => text.into(),
    }
}

fn whole(text: &str) -> Option<Value> {
    let radix = |digits: &str, radix| {
        (!digits.is_empty() && !digits.starts_with(['+', '-'])).then(|| u64::from_str_radix(digits, radix).ok())?
    };
    if let Some(number) = text.strip_prefix("0o").and_then(|digits| radix(digits, 8)) {
        return Some(number.into());
    }
    if let Some(number) = text.strip_prefix("0x").and_then(|digits| radix(digits, 16)) {
        return Some(number.into());
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let text = text.trim_start_matches('+');
    text.parse::<u64>().map(Into::into).or_else(|_| text.parse::<i64>().map(Into::into)).ok()
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(n, exponent)| (n, Some(exponent)));
    let exponent = exponent.is_none_or(|it| {
        let it = it.strip_prefix(['+', '-']).unwrap_or(it);
        !it.is_empty() && digits(it)
    });
    let (before, behind) = number.split_once('.').unwrap_or((number, ""));
    exponent && digits(before) && digits(behind) && (!before.is_empty() || !behind.is_empty())
}

/// A scalar; in quotes where it would be something else without them.
fn written(text: &str, plain: bool) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '+' | '~' | '-');
    if plain && !text.is_empty() && text != "-" && text.chars().all(harmless) {
        return text.to_owned();
    }
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            ' '..='~' => c.to_string(),
            c => format!("\\U{:08x}", u32::from(c)),
        })
        .collect();
    format!("\"{escaped}\"")
}
