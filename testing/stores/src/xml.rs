//! As much XML as the protocols of stores need: elements without attributes that matter, and text.

/// Text for an element.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{0}'..='\u{1f}' => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// The text that an element's content means.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find(';') else { break };
        let name = &rest[at + 1..at + end];
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let c = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match name.strip_prefix('#') {
                Some(hex) if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
                Some(decimal) => number(decimal, 10),
                None => None,
            },
        };
        match c {
            Some(c) => out.push(c),
            None => out.push_str(&rest[at..=at + end]),
        }
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

/// The contents of all elements of this name, none of which holds another.
pub(crate) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&open) {
        rest = &rest[at + open.len()..];
        // `<Part` also begins `<PartNumber>`.
        if !rest.starts_with(['>', ' ', '/', '\n', '\t', '\r']) {
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let empty = rest[..end].ends_with('/');
        rest = &rest[end + 1..];
        if empty {
            found.push("");
            continue;
        }
        let Some(end) = rest.find(&close) else { break };
        found.push(&rest[..end]);
        rest = &rest[end + close.len()..];
    }
    found
}

/// The text of the first element of this name.
pub(crate) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).first().map(|inner| unescape(inner.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_unescaped() {
        let text = "a<b> & \"c\" 'd' \u{1}\u{1F600}é";
        assert_eq!(unescape(&escape(text)), text);
        assert_eq!(unescape("&#x41;&#66;&nope;&"), "AB&nope;&");
    }

    #[test]
    fn elements_are_told_apart_by_their_whole_name() {
        let xml = "<C xmlns=\"x\"><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag></Part><Part/></C>";
        assert_eq!(elements(xml, "Part").len(), 2);
        assert_eq!(text(xml, "PartNumber").as_deref(), Some("1"));
        assert_eq!(text(xml, "ETag").as_deref(), Some("\"e\""));
        assert_eq!(text(xml, "Nothing"), None);
    }
}
