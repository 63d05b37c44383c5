//! Problems in the Static Analysis Results Interchange Format (SARIF 2.1.0), which code scanning takes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, visible};
use crate::organisation::FindingKind;

/// One run with a result for each problem. Columns count characters.
#[must_use]
pub fn sarif(files: &[Diagnostics]) -> Value {
    let problems = || files.iter().flat_map(|file| file.problems.iter().map(move |problem| (file, problem)));
    let codes: BTreeSet<_> = problems().map(|(_, problem)| problem.code.as_ref()).collect();
    let rules: Vec<_> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<_> = problems()
        .map(|(file, problem)| {
            let mut result = json!({
                "ruleId": problem.code,
                "ruleIndex": codes.iter().position(|code| *code == problem.code.as_ref()),
                "level": problem.severity.as_str(),
                "message": { "text": message(problem) },
                "locations": [{ "physicalLocation": place(&file.file, problem.span.line, problem.span.column) }],
            });
            let related = related(&file.file, problem);
            if let (Value::Object(result), false) = (&mut result, related.is_empty()) {
                result.insert("relatedLocations".to_owned(), related.into());
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "dispatch", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    match FindingKind::ALL.iter().find(|kind| kind.code == code) {
        Some(kind) => json!({
            "id": code,
            "shortDescription": { "text": kind.sentence },
            "help": { "text": kind.help },
        }),
        None => json!({ "id": code }),
    }
}

fn message(problem: &Diagnostic) -> String {
    match &problem.help {
        Some(help) => format!("{}\n{}", text(&problem.message), text(help)),
        None => text(&problem.message),
    }
}

/// A message's text: what a file holds cannot become a link.
fn text(text: &str) -> String {
    visible(text).replace("](", "\\](")
}

fn related(file: &str, problem: &Diagnostic) -> Vec<Value> {
    let here = problem.related.iter().map(|it| (file, it.span.line, it.span.column, &it.label));
    let elsewhere = problem.elsewhere.iter().map(|it| (&*it.file, it.line, it.column, &it.label));
    let location = |(id, (file, line, column, label)): (usize, (&str, u32, u32, &String))| json!({ "id": id, "physicalLocation": place(file, line, column), "message": { "text": text(label) } });
    here.chain(elsewhere).enumerate().map(location).collect()
}

fn place(file: &str, line: u32, column: u32) -> Value {
    json!({
        "artifactLocation": { "uri": uri(file) },
        "region": { "startLine": line.max(1), "startColumn": column.max(1) },
    })
}

/// A path as a reference: relative, unless it is absolute.
fn uri(file: &str) -> String {
    let (scheme, path) = match file.strip_prefix("./") {
        Some(path) => ("", path),
        None if file.starts_with('/') => ("file://", file),
        None => ("", file),
    };
    let mut uri = scheme.to_owned();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Elsewhere, Span};

    #[test]
    fn a_problem_is_a_result_with_its_places() {
        let span = Span { line: 3, column: 7, ..Span::default() };
        let elsewhere = Elsewhere { file: "/b/d.yml".to_owned(), line: 9, column: 1, label: "there".to_owned() };
        let problem = Diagnostic::error("unused_consent", span, "`[a](b)\u{7}`", "here").related(Span::TOP, "first");
        let problem = Diagnostic { elsewhere: Some(elsewhere), ..problem.help("mend it") };
        let plain = Diagnostic::warning("a_code", Span::default(), "m", "here");
        let files = [Diagnostics::new("./a b/ü:d.yml", vec![problem]), Diagnostics::new("c", vec![plain])];
        insta::assert_json_snapshot!(sarif(&files), @r#"
        {
          "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
          "runs": [
            {
              "columnKind": "unicodeCodePoints",
              "results": [
                {
                  "level": "error",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "a%20b/%C3%BC%3Ad.yml"
                        },
                        "region": {
                          "startColumn": 7,
                          "startLine": 3
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "`[a\\](b)\\u{7}`\nmend it"
                  },
                  "relatedLocations": [
                    {
                      "id": 0,
                      "message": {
                        "text": "first"
                      },
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "a%20b/%C3%BC%3Ad.yml"
                        },
                        "region": {
                          "startColumn": 1,
                          "startLine": 1
                        }
                      }
                    },
                    {
                      "id": 1,
                      "message": {
                        "text": "there"
                      },
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "file:///b/d.yml"
                        },
                        "region": {
                          "startColumn": 1,
                          "startLine": 9
                        }
                      }
                    }
                  ],
                  "ruleId": "unused_consent",
                  "ruleIndex": 1
                },
                {
                  "level": "warning",
                  "locations": [
                    {
                      "physicalLocation": {
                        "artifactLocation": {
                          "uri": "c"
                        },
                        "region": {
                          "startColumn": 1,
                          "startLine": 1
                        }
                      }
                    }
                  ],
                  "message": {
                    "text": "m"
                  },
                  "ruleId": "a_code",
                  "ruleIndex": 0
                }
              ],
              "tool": {
                "driver": {
                  "name": "dispatch",
                  "rules": [
                    {
                      "id": "a_code"
                    },
                    {
                      "help": {
                        "text": "remove it, or add the outbound rule that was meant"
                      },
                      "id": "unused_consent",
                      "shortDescription": {
                        "text": "the source has no rule that needs this consent"
                      }
                    }
                  ],
                  "version": "0.1.0"
                }
              }
            }
          ],
          "version": "2.1.0"
        }
        "#);
    }

    #[test]
    fn no_problem_is_a_run_without_results() {
        assert_eq!(sarif(&[])["runs"][0]["results"], json!([]));
    }
}
