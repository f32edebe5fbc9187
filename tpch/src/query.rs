//! The 22 queries: the official texts with the substitution parameters of the specification's validation runs.

use std::fmt;
use std::str::FromStr;

macro_rules! texts {
    ($($number:literal),* $(,)?) => {
        [$(include_str!(concat!("../queries/q", $number, ".sql"))),*]
    };
}

const TEXTS: [&str; 22] = texts![
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
    "20", "21", "22",
];

/// One of the 22 queries. Prints as `q01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query(u8);

impl Query {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Query> {
        (1..=22).map(Query)
    }

    /// The query of this number, from 1 to 22.
    pub fn number(number: u8) -> Option<Query> {
        (1..=22).contains(&number).then_some(Query(number))
    }

    /// Its text: one statement, without a semicolon.
    pub fn sql(self) -> &'static str {
        TEXTS[usize::from(self.0) - 1]
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q{:02}", self.0)
    }
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim().trim_start_matches(['q', 'Q']);
        let number = digits.parse::<u8>().ok().and_then(Query::number);
        number
            .ok_or_else(|| format!("'{text}' is not a TPC-H query; write a number from 1 to 22, for example 3 or q03"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_the_query_its_number_says() {
        assert_eq!(Query::all().count(), 22);
        for query in Query::all() {
            let title = format!("-- TPC-H Q{},", query.0);
            assert!(query.sql().starts_with(&title), "{query}");
            assert!(!query.sql().contains(';'), "{query}");
        }
    }

    #[test]
    fn numbers_are_read_the_way_people_write_them() {
        assert_eq!("3".parse(), Ok(Query(3)));
        assert_eq!("q07".parse(), Ok(Query(7)));
        assert!("0".parse::<Query>().is_err() && "23".parse::<Query>().is_err() && "x".parse::<Query>().is_err());
    }
}
