//! The Markdown of the service's comments, as a reader sees it.

/// The lines with something to read, without marks: of a link its text, and nothing that GitHub hides.
pub(super) fn lines(markdown: &str) -> Vec<String> {
    let shown = markdown.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("<"));
    shown.map(line).collect()
}

fn line(markdown: &str) -> String {
    let mut rest = markdown.trim_start_matches('#').trim_start();
    let mut text = String::new();
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        match link.split_once("](<").and_then(|(name, rest)| Some((name, rest.split_once(">)")?.1))) {
            Some((name, after)) => {
                text.push_str(name);
                rest = after;
            }
            None => {
                text.push('[');
                rest = link;
            }
        }
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn links_are_their_text_and_marks_are_left_out() {
        let markdown = "<!-- marker -->\n### Title of `it`\n\n- [`a`](<https://a.example/1>): b [c\n<sub>small</sub>";
        assert_eq!(lines(markdown), ["Title of it", "- a: b [c"]);
    }
}
