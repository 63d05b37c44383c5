//! Check runs.

use dispatch_core::name::{CheckId, CheckRunId, CommitSha};
use dispatch_core::notice::{AnnotationLevel, Check, CheckAnnotation, CheckConclusion, CheckStatus};
use serde::{Deserialize, Serialize};

/// The answer to "List check runs for a Git reference".
#[derive(Deserialize)]
pub(crate) struct CheckRuns {
    pub(crate) check_runs: Vec<CheckRun>,
}

/// A check run in that list.
#[derive(Deserialize)]
pub(crate) struct CheckRun {
    pub(crate) id: CheckRunId,
    pub(crate) name: String,
    pub(crate) head_sha: String,
    #[serde(default)]
    pub(crate) external_id: Option<String>,
    #[serde(default)]
    pub(crate) app: Option<CheckApp>,
}

/// The App that made a check run.
#[derive(Deserialize)]
pub(crate) struct CheckApp {
    pub(crate) id: u64,
}

/// The answer to "Create a check run".
#[derive(Deserialize)]
pub(crate) struct CreatedCheck {
    pub(crate) id: CheckRunId,
}

/// The body of "Create a check run".
#[derive(Serialize)]
pub(crate) struct NewCheck<'a> {
    name: &'a str,
    head_sha: &'a CommitSha,
    external_id: &'a CheckId,
    #[serde(flatten)]
    update: CheckUpdate<'a>,
}

/// The body of "Update a check run".
#[derive(Serialize)]
pub(crate) struct CheckUpdate<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<CheckConclusion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details_url: Option<&'a str>,
    output: CheckOutput<'a>,
}

/// What a check run says.
#[derive(Serialize)]
struct CheckOutput<'a> {
    title: &'a str,
    summary: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
}

/// A remark at some lines of a file.
#[derive(Serialize)]
struct Annotation<'a> {
    path: &'a str,
    start_line: u32,
    end_line: u32,
    annotation_level: AnnotationLevel,
    title: &'a str,
    message: &'a str,
}

/// GitHub takes so many annotations in one request.
const ANNOTATIONS: usize = 50;

impl<'a> NewCheck<'a> {
    /// With its first annotations.
    pub(crate) fn new(check: &'a Check) -> Self {
        let annotations = check.annotations.iter().take(ANNOTATIONS).map(Annotation::new).collect();
        let Check { name, head_sha, id, .. } = check;
        Self { name, head_sha, external_id: id, update: CheckUpdate::with(check, annotations) }
    }
}

impl<'a> CheckUpdate<'a> {
    /// Without annotations: GitHub would append them to those that are there.
    pub(crate) fn new(check: &'a Check) -> Self {
        Self::with(check, Vec::new())
    }

    fn with(check: &'a Check, annotations: Vec<Annotation<'a>>) -> Self {
        let (status, conclusion) = match check.status {
            CheckStatus::Queued => ("queued", None),
            CheckStatus::InProgress => ("in_progress", None),
            CheckStatus::Completed(conclusion) => ("completed", Some(conclusion)),
        };
        let details_url = check.details_url.as_deref().filter(|url| super::is_page(url));
        Self {
            status,
            conclusion,
            details_url,
            output: CheckOutput { title: &check.title, summary: &check.summary, annotations },
        }
    }
}

impl<'a> Annotation<'a> {
    fn new(annotation: &'a CheckAnnotation) -> Self {
        let CheckAnnotation { path, start_line, end_line, level, title, message } = annotation;
        let (start_line, end_line) = (*start_line, *end_line);
        Self { path, start_line, end_line, annotation_level: *level, title, message }
    }
}
