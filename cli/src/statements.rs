//! Divides a script into its statements at the semicolons that are not part of a string, a name or a comment.
//!
//! It does not parse: whatever it cannot make sense of (a quote that never ends) goes to the parser as it is, which
//! knows how to complain.

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the semicolon.
    pub text: String,
    /// The line of the script on which its first word stands, from 1.
    pub line: usize,
}

/// The statements of a script, without empty ones and those of nothing but comments.
pub fn split(script: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut rest = Scanner { text: script, at: 0 };
    let (mut start, mut first_word) = (0, None);
    while rest.at < script.len() {
        let at = rest.at;
        match rest.skip_token() {
            Token::Blank => {}
            Token::Word => first_word = first_word.or(Some(at)),
            Token::Semicolon => {
                statements.extend(first_word.map(|word| statement(script, start, word, at)));
                (start, first_word) = (rest.at, None);
            }
        }
    }
    statements.extend(first_word.map(|word| statement(script, start, word, script.len())));
    statements
}

fn statement(script: &str, start: usize, first_word: usize, end: usize) -> Statement {
    let line = script[..first_word].matches('\n').count() + 1;
    Statement { text: script[start..end].trim().to_owned(), line }
}

enum Token {
    /// White space or a comment.
    Blank,
    /// Part of a statement.
    Word,
    /// The end of a statement.
    Semicolon,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    /// Moves past one token.
    fn skip_token(&mut self) -> Token {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Token::Blank };
        let (length, token) = match first {
            ';' => (1, Token::Semicolon),
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), Token::Blank),
            '/' if rest.starts_with("/*") => (block_comment(rest), Token::Blank),
            '\'' | '"' | '`' => (quoted(rest, first), Token::Word),
            '$' if !self.after_word() => (dollar_quoted(rest), Token::Word),
            c if c.is_whitespace() => (c.len_utf8(), Token::Blank),
            c => (c.len_utf8(), Token::Word),
        };
        self.at += length;
        token
    }

    fn after_word(&self) -> bool {
        let before = self.text[..self.at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
    }
}

/// The length of a quoted text; a doubled quote stands for itself, and so needs no care: it is two texts in a row.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

/// The length of a comment, in which others may stand.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of `$tag$ … $tag$`; 1 when it is only a dollar sign, as in `$1`.
fn dollar_quoted(text: &str) -> usize {
    let Some(end) = text[1..].find('$') else { return 1 };
    let tag = &text[..end + 2];
    let name = &tag[1..tag.len() - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
    if !is_name {
        return 1;
    }
    text[tag.len()..].find(tag).map_or(text.len(), |close| close + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script).into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn semicolons_divide_and_empty_statements_vanish() {
        assert_eq!(texts("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts("SELECT 1"), ["SELECT 1"]);
        assert!(texts("").is_empty() && texts(" ;; \n;").is_empty() && texts("-- nothing\n/* at all */ ;").is_empty());
    }

    #[test]
    fn semicolons_inside_of_something_do_not_divide() {
        for one in [
            "SELECT 'a;b', ';', 'it''s; so'",
            "SELECT \"a;\"\"b\" FROM `c;d`",
            "SELECT $$a;b$$, $t$ ; $$ ; $t$",
            "SELECT 1 -- ; not yet\n + 1",
            "SELECT /* ; /* ; */ ; */ 1",
            "SELECT 'never ends; really",
            "SELECT $1 + $2",
        ] {
            assert_eq!(texts(one), [one]);
        }
        assert_eq!(texts("SELECT $1; SELECT $2"), ["SELECT $1", "SELECT $2"]);
        assert_eq!(texts("SELECT a$b; SELECT c$d"), ["SELECT a$b", "SELECT c$d"]);
        assert_eq!(texts("SELECT 'ä;ö'; SELECT 'ü'"), ["SELECT 'ä;ö'", "SELECT 'ü'"]);
    }

    #[test]
    fn a_statement_knows_the_line_of_its_first_word() {
        let statements = split("-- title\n\nSELECT 1;\n\n  -- then\n  SELECT\n 2");
        assert_eq!(statements.iter().map(|s| s.line).collect::<Vec<_>>(), [3, 6]);
        assert_eq!(statements[1].text, "-- then\n  SELECT\n 2");
    }
}
