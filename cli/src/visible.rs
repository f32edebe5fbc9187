//! Text of others, such as values, names, keys and errors, made harmless for a terminal: control characters are written
//! out, so that none can move the cursor, change colours or hide what stands there.

/// The text on one line: line ends and other control characters are written out.
pub fn on_one_line(text: &str) -> String {
    escaped(text, char::is_control)
}

/// The text with its lines and tabs; other control characters are written out.
pub fn in_lines(text: &str) -> String {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, harms: impl Fn(char) -> bool) -> String {
    if !text.contains(&harms) {
        return text.to_owned();
    }
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if harms(c) { visible.extend(c.escape_default()) } else { visible.push(c) }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_would_move_it() {
        let text = "a\u{1b}[2J\tä\r\n\u{9b}b";
        assert_eq!(on_one_line(text), "a\\u{1b}[2J\\tä\\r\\n\\u{9b}b");
        assert_eq!(in_lines(text), "a\\u{1b}[2J\tä\\r\n\\u{9b}b");
    }
}
