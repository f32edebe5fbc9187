//! How deep a statement nests, judged by its text. A long chain of operators becomes a tree of as many levels, and taking
//! such a tree apart needs more stack than there is; so the text is judged before it is parsed.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use windrow_common::{Error, ErrorKind, Result, limits};

/// Refuses a text with chains of operators that nobody could work off.
pub(super) fn check(sql: &str) -> Result<()> {
    let limit = limits::MAX_OPERATOR_CHAIN;
    if sql.len() <= limit {
        return Ok(());
    }
    // A text that is not SQL is refused by the parser, with a better message.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let longest = longest_chain(&tokens);
    if longest > limit {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "the statement chains {longest} operators; the limit is {limit} (MAX_OPERATOR_CHAIN). Write long lists with \
                 IN (…) or VALUES, or put them into a table"
            ),
        ));
    }
    Ok(())
}

/// The most operators that can come to stand above each other in the parsed statement.
fn longest_chain(tokens: &[Token]) -> usize {
    // Operators since the last comma, for each parenthesis that is open.
    let mut open = vec![0_usize];
    let (mut depth, mut longest, mut set_operators) = (0, 0, 0);
    for token in tokens {
        match token {
            Token::LParen => open.push(0),
            Token::RParen if open.len() > 1 => depth -= open.pop().unwrap_or(0),
            Token::Comma | Token::SemiColon => {
                if let Some(count) = open.last_mut() {
                    depth -= std::mem::take(count);
                }
            }
            Token::Word(word) if is_set_operator(word.keyword) => set_operators += 1,
            token if is_operator(token) => {
                if let Some(count) = open.last_mut() {
                    *count += 1;
                    depth += 1;
                    longest = longest.max(depth);
                }
            }
            _ => {}
        }
    }
    longest.max(set_operators)
}

fn is_set_operator(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT)
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::COLLATE)
        }
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::StringConcat
        | Token::Pipe
        | Token::Ampersand
        | Token::Caret
        | Token::DoubleColon
        | Token::LBracket
        | Token::Arrow
        | Token::LongArrow
        | Token::ShiftLeft
        | Token::ShiftRight => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(sql: &str) -> usize {
        longest_chain(&Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap())
    }

    #[test]
    fn chains_are_counted_and_lists_are_not() {
        assert_eq!(chain("SELECT 1"), 0);
        assert_eq!(chain("SELECT 1 + 2 * 3, 4 - 5"), 2);
        assert_eq!(chain("SELECT a = 1 OR b = 2 OR (c = 3 AND d)"), 6);
        assert_eq!(chain("VALUES (-1), (-2), (-3)"), 1);
        assert_eq!(chain("SELECT 'a + b' /* + */ -- +"), 0);
        assert_eq!(chain("SELECT 1, 2 UNION ALL SELECT 3, 4 UNION SELECT 5, 6"), 2);
    }

    #[test]
    fn what_cannot_be_worked_off_is_refused() {
        let long = format!("SELECT 1{}", " + 1".repeat(limits::MAX_OPERATOR_CHAIN + 1));
        assert_eq!(check(&long).unwrap_err().kind, ErrorKind::Limit);
        let rows = format!("VALUES (-1){}", ", (-1)".repeat(limits::MAX_OPERATOR_CHAIN + 1));
        check(&rows).unwrap();
    }
}
