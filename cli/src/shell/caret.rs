//! Where in a statement an error is: the line, and a caret below the place.
//!
//! ```text
//! LINE 2: FROM lineitem WHER l_tax > 0
//!                       ^
//! ```

/// Characters that are kept free at the right of a shown line.
const MARGIN: usize = 2;

/// The line of the statement that the message points to, with a caret below, unless it points nowhere. Fits the width.
pub fn pointed(statement: &str, message: &str, width: usize) -> Option<String> {
    let (line, column) = position(message)?;
    let text = statement.lines().nth(line.checked_sub(1)?)?;
    // One character stands for a tab, so that the caret stands right whatever the terminal makes of tabs.
    let text: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let place = column.checked_sub(1)?.min(text.len());
    let label = format!("LINE {line}: ");
    let room = width.saturating_sub(label.len() + MARGIN).max(20);
    // A long line is shown around the place.
    let start = if text.len() <= room { 0 } else { place.saturating_sub(room / 2).min(text.len() - room) };
    let end = text.len().min(start + room);
    let shown: String = text[start..end].iter().collect();
    let before: String = text[start..place].iter().collect();
    let indent = label.len() + console::measure_text_width(&before);
    Some(format!("{label}{shown}\n{}^", " ".repeat(indent)))
}

/// The last `Line: 1, Column: 8` of a message; both count from 1.
fn position(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((line.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place() {
        let message = "syntax error: Expected: an expression, found: , at Line: 2, Column: 5";
        let shown = pointed("SELECT\n 1, ,2", message, 80).unwrap();
        assert_eq!(shown, "LINE 2:  1, ,2\n            ^");
        let shown = pointed("SELECT\t'ä', '数', nope", "No field named nope. at Line: 1, Column: 18", 80).unwrap();
        assert_eq!(shown, "LINE 1: SELECT 'ä', '数', nope\n                          ^");
    }

    #[test]
    fn a_message_that_points_nowhere_gives_nothing() {
        for message in
            ["no", "at Line: 9, Column: 1", "Line: x, Column: 1", "Line: 0, Column: 0", "Line: 1", "Line: 1, Column: "]
        {
            assert_eq!(pointed("SELECT 1", message, 80), None, "{message}");
        }
        assert!(pointed("SELECT 1", "Line: 1, Column: 99", 80).unwrap().ends_with("        ^"));
        assert_eq!(pointed("", "Line: 1, Column: 1", 80), None);
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let statement = format!("SELECT {}, nope, {}", "a".repeat(300), "b".repeat(300));
        let shown = pointed(&statement, "Line: 1, Column: 310", 60).unwrap();
        let (line, caret) = shown.split_once('\n').unwrap();
        assert!(line.len() <= 60 && line[caret.len() - 1..].starts_with("nope"), "{shown}");
    }
}
