//! Which requests a fault is for.

use super::Fault;
use crate::seen::{Operation, Seen};

/// A fault, and the requests that meet it: all, until it is narrowed.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    operation: Option<Operation>,
    method: Option<String>,
    prefix: String,
    suffix: String,
    part: String,
    queries: Vec<String>,
    skip: u64,
    times: u64,
    matched: u64,
}

impl Rule {
    /// Every request meets this fault.
    pub fn new(fault: Fault) -> Rule {
        Rule {
            fault,
            operation: None,
            method: None,
            prefix: String::new(),
            suffix: String::new(),
            part: String::new(),
            queries: Vec::new(),
            skip: 0,
            times: u64::MAX,
            matched: 0,
        }
    }

    /// Only requests for this.
    pub fn on(self, operation: Operation) -> Rule {
        Rule { operation: Some(operation), ..self }
    }

    /// Only requests with this method, `PUT` for example.
    pub fn method(self, method: &str) -> Rule {
        Rule { method: Some(method.to_owned()), ..self }
    }

    /// Only keys that begin so.
    pub fn prefix(self, prefix: &str) -> Rule {
        Rule { prefix: prefix.to_owned(), ..self }
    }

    /// Only keys that end so.
    pub fn suffix(self, suffix: &str) -> Rule {
        Rule { suffix: suffix.to_owned(), ..self }
    }

    /// Only keys that hold this.
    pub fn containing(self, part: &str) -> Rule {
        Rule { part: part.to_owned(), ..self }
    }

    /// Only requests whose query has this, `uploads` or `partNumber=2`; said twice, both.
    pub fn query(mut self, query: &str) -> Rule {
        self.queries.push(query.to_owned());
        self
    }

    /// The first ones pass.
    pub fn skip(self, requests: u64) -> Rule {
        Rule { skip: requests, ..self }
    }

    /// Only so many meet it; later ones pass.
    pub fn times(self, requests: u64) -> Rule {
        Rule { times: requests, ..self }
    }

    /// The fault, if this request matches and its turn has come.
    pub(super) fn strike(&mut self, seen: &Seen) -> Option<Fault> {
        let wanted = self.operation.is_none_or(|operation| operation == seen.operation)
            && self.method.as_ref().is_none_or(|method| *method == seen.method)
            && seen.key.starts_with(&self.prefix)
            && seen.key.ends_with(&self.suffix)
            && seen.key.contains(&self.part)
            && self.queries.iter().all(|query| seen.has_query(query));
        if !wanted {
            return None;
        }
        self.matched += 1;
        let turn = self.matched > self.skip && self.matched - self.skip <= self.times;
        turn.then(|| self.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_what_it_names_and_when_its_turn_is() {
        let seen = |key: &str, query: &[(&str, &str)]| Seen {
            operation: Operation::UploadPart,
            method: "PUT".into(),
            bucket: "b".into(),
            key: key.into(),
            query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            range: None,
        };
        let part = seen("out/a.parquet", &[("partNumber", "2"), ("uploadId", "x")]);
        let rule = Rule::new(Fault::Reset).method("PUT").prefix("out/").suffix(".parquet").containing("a.");
        let mut turns = rule.clone().on(Operation::UploadPart).query("uploadId").query("partNumber=2").skip(1).times(2);
        let struck: Vec<bool> = (0..5).map(|_| turns.strike(&part).is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        for (mut other, request) in [
            (rule.clone().on(Operation::Put), &part),
            (rule.clone().method("GET"), &part),
            (rule.clone().query("partNumber=1"), &part),
            (rule.clone().query("uploads"), &part),
            (rule.clone(), &seen("out/b.parquet", &[])),
            (rule.clone(), &seen("in/a.parquet", &[])),
            (rule, &seen("out/a.csv", &[])),
        ] {
            assert_eq!(other.strike(request), None, "{other:?}");
        }
    }
}
