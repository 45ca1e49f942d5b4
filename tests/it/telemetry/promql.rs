//! As much of `PromQL` as it takes to see which series an expression asks for, and by which labels.

use std::collections::BTreeSet;

/// What an expression asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The series, each with the labels that it is chosen by.
    pub series: BTreeSet<(String, Vec<String>)>,
    /// The labels that series are grouped by.
    pub grouped: BTreeSet<String>,
}

/// The functions that may be used: a name that is misspelt is none of them.
const FUNCTIONS: [&str; 7] = ["absent", "sum", "max", "topk", "rate", "increase", "histogram_quantile"];
const OPERATORS: [&str; 4] = ["and", "or", "unless", "bool"];
const GROUPINGS: [&str; 4] = ["by", "without", "on", "ignoring"];

/// Reads an expression. Panics if it uses what is not known here.
#[track_caller]
pub fn asked(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        if is_name(first) && !first.is_ascii_digit() {
            let (name, after) = split_name(rest);
            rest = after.trim_start();
            if GROUPINGS.contains(&name) {
                let (labels, after) = block(rest, '(', ')');
                asked.grouped.extend(labels.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if rest.starts_with('(') || FUNCTIONS.contains(&name) {
                assert!(FUNCTIONS.contains(&name), "{name} in {expression}");
            } else if !OPERATORS.contains(&name) {
                let mut labels = Vec::new();
                if rest.starts_with('{') {
                    let (matchers, after) = block(rest, '{', '}');
                    labels = label_names(matchers);
                    rest = after;
                }
                asked.series.insert((name.to_owned(), labels));
            }
        } else if first == '[' {
            rest = block(rest, '[', ']').1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else {
            assert!("()+-*/<>=!, \n".contains(first), "{first} in {expression}");
            rest = &rest[1..];
        }
        rest = rest.trim_start();
    }
    assert_eq!(expression.matches('(').count(), expression.matches(')').count(), "{expression}");
    asked
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
}

/// What stands between the brackets that a text begins with, and what comes after them.
fn block(text: &str, open: char, close: char) -> (&str, &str) {
    let inside = text.strip_prefix(open).unwrap_or_else(|| panic!("no {open} in {text}"));
    inside.split_once(close).unwrap_or_else(|| panic!("no {close} in {text}"))
}

/// The labels of matchers such as `a="b", c!~"d,e"`.
fn label_names(matchers: &str) -> Vec<String> {
    let outside = matchers.split('"').step_by(2);
    let names = outside.map(|text| text.trim_matches(|c: char| " ,=!~".contains(c)).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn expressions_are_read() {
    let read = asked(
        r#"histogram_quantile(0.99, sum by (le, rpc_method) (rate(calls_bucket{method=~"a.*",code!="OK, b"}[5m])))
           > 0.5 and max(age) >= 900 unless on (instance) sum(up)"#,
    );
    let series = read.series.iter().map(|(name, labels)| format!("{name} {}", labels.join("+")));
    assert_eq!(series.collect::<Vec<_>>(), ["age ", "calls_bucket method+code", "up "]);
    assert_eq!(read.grouped.into_iter().collect::<Vec<_>>(), ["instance", "le", "rpc_method"]);
}
