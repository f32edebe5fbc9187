//! What a word may become: the columns of the tables that the statement names, tables, keywords, functions.
//!
//! It does not parse. It looks at the words of the statement, whole or not, and at the word before the cursor.

use super::backslash::COMMANDS;
use super::keywords::KEYWORDS;
use super::names::{Names, written};
use super::words::{Word, is_word, words};
use crate::statements::{Ending, parts};

/// Where the completed word begins, in bytes, and what it may become, the likeliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Start of the word in the text before the cursor.
    pub start: usize,
    /// What may stand in its place.
    pub candidates: Vec<String>,
}

/// A table that a statement names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    schema: Option<String>,
    table: String,
    alias: Option<String>,
}

/// Words after which a table is named.
const BEFORE_TABLES: [&str; 8] = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "DESCRIBE", "VIEW", "OVERWRITE"];
/// Functions are offered only for words of so many letters, and when no column or table fits: there are hundreds.
const LETTERS_OF_FUNCTIONS: usize = 2;

/// Completes the word that ends at the cursor. `before` and `after` are what stands on either side of it.
pub fn complete(before: &str, after: &str, names: &Names) -> Completion {
    let parts = parts(before);
    if matches!(parts.ending, Ending::Quote(_) | Ending::Dollar | Ending::Comment) {
        return Completion::default();
    }
    let word = before.rfind(|c| !is_word(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let prefix = &before[word..];
    let statement = format!("{}{after}", &before[parts.rest..]);
    let all = words(&statement);
    let earlier = words(&before[parts.rest..word.max(parts.rest)]);
    let tables = named(&all);
    let mut found = Found { prefix, candidates: Vec::new() };
    match earlier.as_slice() {
        [.., qualifier, Word::Sign('.')] => qualified(&mut found, qualifier, &tables, names),
        earlier if is_table_place(earlier) => {
            common_tables(&all).iter().for_each(|name| found.add_name(name));
            names.tables().for_each(|name| found.add_name(name));
            names.schemas().for_each(|name| found.add_name(name));
            found.add_keywords();
        }
        _ => anything(&mut found, &tables, names),
    }
    Completion { start: word, candidates: found.candidates }
}

/// Completes a line that begins with a backslash; the names of files are none of its business.
pub fn complete_backslash(before: &str, names: &Names) -> Completion {
    match before.find(char::is_whitespace) {
        None => {
            let fits = COMMANDS.iter().map(|(name, ..)| *name).filter(|name| name.starts_with(before));
            Completion { start: 0, candidates: fits.map(str::to_owned).collect() }
        }
        Some(end) if matches!(&before[..end], "\\d" | "\\d+") => {
            let start = before.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
            let mut found = Found { prefix: &before[start..], candidates: Vec::new() };
            names.tables().for_each(|name| found.add_name(name));
            Completion { start, candidates: found.candidates }
        }
        Some(_) => Completion::default(),
    }
}

struct Found<'a> {
    prefix: &'a str,
    candidates: Vec<String>,
}

impl Found<'_> {
    fn add(&mut self, candidate: String) {
        if !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
        }
    }

    fn add_name(&mut self, name: &str) {
        if name.to_lowercase().starts_with(&self.prefix.to_lowercase()) {
            self.add(written(name));
        }
    }

    /// Keywords, in the case in which the word is typed.
    fn add_keywords(&mut self) {
        if self.prefix.is_empty() {
            return;
        }
        let upper = self.prefix.to_uppercase();
        let is_lower = self.prefix.chars().any(char::is_lowercase);
        for keyword in KEYWORDS.iter().filter(|keyword| keyword.starts_with(&upper)) {
            self.add(if is_lower { keyword.to_lowercase() } else { (*keyword).to_owned() });
        }
    }

    fn add_functions(&mut self, names: &Names) {
        let prefix = self.prefix.to_lowercase();
        for function in names.functions().filter(|name| name.starts_with(&prefix)) {
            self.add(format!("{function}("));
        }
    }
}

fn qualified(found: &mut Found<'_>, qualifier: &Word<'_>, tables: &[Named], names: &Names) {
    let Some(qualifier) = qualifier.name() else { return };
    let is_meant = |named: &&Named| named.alias.as_ref().unwrap_or(&named.table) == &qualifier;
    match tables.iter().find(is_meant) {
        Some(named) => {
            names.columns(named.schema.as_deref(), &named.table).iter().for_each(|column| found.add_name(column));
        }
        None => names.columns(None, &qualifier).iter().for_each(|column| found.add_name(column)),
    }
    names.tables_of(&qualifier).for_each(|table| found.add_name(table));
}

fn anything(found: &mut Found<'_>, tables: &[Named], names: &Names) {
    for named in tables {
        names.columns(named.schema.as_deref(), &named.table).iter().for_each(|column| found.add_name(column));
    }
    for named in tables {
        found.add_name(named.alias.as_ref().unwrap_or(&named.table));
    }
    if tables.is_empty() && !found.prefix.is_empty() {
        names.all_columns().into_iter().for_each(|column| found.add_name(column));
    }
    let is_name = !found.candidates.is_empty();
    found.add_keywords();
    if !is_name && found.prefix.chars().count() >= LETTERS_OF_FUNCTIONS {
        found.add_functions(names);
    }
}

/// Whether the next word names a table: behind `FROM` and its like, and behind the commas there.
fn is_table_place(earlier: &[Word<'_>]) -> bool {
    match earlier {
        [.., last] if BEFORE_TABLES.iter().any(|word| last.is(word)) => true,
        [begin @ .., Word::Sign(',')] => {
            // A list of tables holds names and aliases only; the keyword before it decides.
            let start = begin.iter().rposition(|word| {
                !matches!(word, Word::Sign(',' | '.')) && (word.name().is_none() || is_keyword(word))
            });
            start.is_some_and(|at| begin[at].is("FROM") && !begin[at + 1..].is_empty())
        }
        _ => false,
    }
}

fn is_keyword(word: &Word<'_>) -> bool {
    !word.is("AS") && KEYWORDS.iter().any(|keyword| keyword.split(' ').any(|part| word.is(part)))
}

/// The tables that a statement names.
fn named(words: &[Word<'_>]) -> Vec<Named> {
    let mut tables = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is_begin = BEFORE_TABLES.iter().any(|word| words[at].is(word));
        at += 1;
        if !is_begin {
            continue;
        }
        while let Some((table, next)) = table_at(words, at) {
            tables.push(table);
            at = next;
            if words.get(at) != Some(&Word::Sign(',')) {
                break;
            }
            at += 1;
        }
    }
    tables
}

/// The table that is named at this place, and the place behind it and its alias.
fn table_at(words: &[Word<'_>], mut at: usize) -> Option<(Named, usize)> {
    let mut path = vec![name_at(words, at)?];
    at += 1;
    while words.get(at) == Some(&Word::Sign('.')) {
        path.extend(name_at(words, at + 1));
        at += 2;
    }
    if words.get(at).is_some_and(|word| word.is("AS")) {
        at += 1;
    }
    let alias = name_at(words, at);
    at += usize::from(alias.is_some());
    let table = path.pop()?;
    Some((Named { schema: path.pop(), table, alias }, at.min(words.len())))
}

fn name_at(words: &[Word<'_>], at: usize) -> Option<String> {
    words.get(at).filter(|word| !is_keyword(word)).and_then(Word::name)
}

/// The names of the common table expressions: `WITH name AS (`, `, name AS (`.
fn common_tables(words: &[Word<'_>]) -> Vec<String> {
    let is_with = words.first().is_some_and(|word| word.is("WITH"));
    let triples = words.windows(3).filter(|three| three[1].is("AS") && three[2] == Word::Sign('('));
    if is_with { triples.filter_map(|three| three[0].name()).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for (table, columns) in
            [("lineitem", &["l_orderkey", "l_tax", "Odd Name"][..]), ("orders", &["o_orderkey", "o_totalprice"])]
        {
            columns.iter().for_each(|column| names.add_column("public", table, column));
        }
        names.add_column("stage", "raw", "line");
        names.add_function("lower");
        names.add_function("lpad");
        names
    }

    /// Completes where the `|` stands.
    fn at(text: &str) -> Vec<String> {
        let (before, after) = text.split_once('|').unwrap();
        complete(before, after, &names()).candidates
    }

    #[test]
    fn columns_of_the_tables_of_the_statement_come_first() {
        assert_eq!(
            at("SELECT l| FROM lineitem"),
            ["l_orderkey", "l_tax", "lineitem", "last", "lateral", "left", "like", "limit", "location"]
        );
        assert_eq!(at("SELECT o| FROM lineitem, orders")[..3], ["\"Odd Name\"", "o_orderkey", "o_totalprice"]);
        assert_eq!(at("SELECT * FROM orders WHERE |"), ["o_orderkey", "o_totalprice", "orders"]);
        assert_eq!(at("SELECT * FROM lineitem; SELECT * FROM orders WHERE l_|"), Vec::<String>::new());
        assert_eq!(at("SELECT l_t|"), ["l_tax"], "before any table is named, all columns are offered");
    }

    #[test]
    fn tables_stand_behind_from_and_its_commas() {
        assert_eq!(at("SELECT * FROM |"), ["lineitem", "orders", "public", "stage"]);
        assert_eq!(at("SELECT * FROM lineitem l, or|")[..1], ["orders"]);
        assert_eq!(at("SELECT * FROM lineitem JOIN o|")[..1], ["orders"]);
        assert_eq!(at("INSERT INTO o|")[..1], ["orders"]);
        assert_eq!(at("SELECT l_tax, o_|")[..2], ["o_orderkey", "o_totalprice"], "this comma divides columns");
        assert_eq!(at("WITH only AS (SELECT 1) SELECT * FROM on|")[..1], ["only"]);
        assert_eq!(at("SELECT * FROM stage.|"), ["raw"]);
    }

    #[test]
    fn a_qualifier_is_a_table_or_its_alias() {
        assert_eq!(at("SELECT l.| FROM lineitem AS l"), ["l_orderkey", "l_tax", "\"Odd Name\""]);
        assert_eq!(at("SELECT o.o_t| FROM lineitem l JOIN orders o ON true"), ["o_totalprice"]);
        assert_eq!(at("SELECT orders.o_o|"), ["o_orderkey"]);
        assert_eq!(at("SELECT r.l| FROM stage.raw r"), ["line"]);
    }

    #[test]
    fn keywords_keep_the_case_of_the_word() {
        assert_eq!(at("SEL|"), ["SELECT"]);
        assert_eq!(at("sel|"), ["select"]);
        assert_eq!(at("SELECT 1 GRO|"), ["GROUP BY", "GROUPING SETS"]);
        assert_eq!(at("SELECT lp|"), ["lpad("]);
        assert_eq!(at("|"), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_offered_inside_of_texts_and_comments() {
        for text in ["SELECT 'sel|", "SELECT $$sel|", "/* sel|", "SELECT \"sel|"] {
            assert_eq!(at(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn the_start_is_that_of_the_word() {
        assert_eq!(complete("SELECT 'ä', l_t", "", &names()).start, "SELECT 'ä', ".len());
        assert_eq!(complete("SELECT l.l_t", "", &names()).start, "SELECT l.".len());
    }

    #[test]
    fn backslash_commands_and_their_tables() {
        assert_eq!(complete_backslash("\\t", &names()).candidates, ["\\timing"]);
        assert_eq!(complete_backslash("\\d", &names()).candidates, ["\\d", "\\dt"]);
        let tables = complete_backslash("\\d or", &names());
        assert_eq!((tables.start, tables.candidates), (3, vec!["orders".to_owned()]));
        assert_eq!(complete_backslash("\\o or", &names()).candidates, Vec::<String>::new());
    }
}
