//! How the RPCs are reached over HTTP: every rule can be parsed, names fields that exist, and leads to one RPC only.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::{
    api::{HttpRule, RPCS, Rpc},
    assert_none,
};

/// Reads that are no GET, and why.
const READS_BY_POST: [(&str, &str); 2] = [
    ("PreviewInvitation", "a token must not stand in a URL, which logs keep"),
    ("BatchCheckAccess", "a thousand questions do not fit into a URL"),
];

/// A path template, as `google.api.http` defines its grammar.
#[derive(Debug, PartialEq)]
struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    /// The fields that its variables bind.
    variables: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Literal(String),
    /// `*`, or a variable of one segment.
    Any,
}

impl Template {
    /// `/v1/teams/{team_id}:leave`. Of the grammar, `**` and variables of several segments are left out: nothing of
    /// ours needs them, and what matches what would be harder to tell.
    fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        // The verb is what follows the last colon outside of a variable.
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains(['}', '/']) => {
                (path, Some(is_literal(verb).then(|| verb.to_owned())?))
            }
            _ => (path, None),
        };
        let mut variables = Vec::new();
        let segments = path.split('/').map(|segment| Self::segment(segment, &mut variables)).collect::<Option<_>>()?;
        Some(Self { segments, verb, variables })
    }

    fn segment(text: &str, variables: &mut Vec<String>) -> Option<Segment> {
        if let Some(inner) = text.strip_prefix('{') {
            let inner = inner.strip_suffix('}')?;
            let field = inner.strip_suffix("=*").unwrap_or(inner);
            variables.push(field.split('.').all(is_identifier).then(|| field.to_owned())?);
            return Some(Segment::Any);
        }
        match text {
            "*" => Some(Segment::Any),
            _ => is_literal(text).then(|| Segment::Literal(text.to_owned())),
        }
    }

    /// Whether some path fits both and neither is the plainly more special one.
    fn is_ambiguous_beside(&self, other: &Self) -> bool {
        use Segment::{Any, Literal};

        if self.verb != other.verb || self.segments.len() != other.segments.len() {
            return false;
        }
        let pairs = || self.segments.iter().zip(&other.segments);
        let apart = pairs().any(|pair| matches!(pair, (Literal(one), Literal(two)) if one != two));
        let closer = pairs().any(|pair| matches!(pair, (Literal(_), Any)));
        let wider = pairs().any(|pair| matches!(pair, (Any, Literal(_))));
        !apart && closer == wider
    }
}

/// What may stand in a path as it is.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Every rule with its RPC and its template, if it has one.
fn rules() -> impl Iterator<Item = (&'static Rpc, &'static HttpRule, Option<Template>)> {
    RPCS.iter().flat_map(|rpc| rpc.http.iter().map(move |rule| (rpc, rule, Template::parse(&rule.path))))
}

/// The field that a dotted path leads to.
fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let found = message.get_field_by_name(name)?;
    match rest {
        None => Some(found),
        Some(_) if found.is_list() => None,
        Some(rest) => field(found.kind().as_message()?, rest),
    }
}

#[test]
fn every_rpc_has_a_rule() {
    assert_none(RPCS.iter().filter(|rpc| rpc.http.is_empty()).map(|rpc| rpc.name.clone()));
}

#[test]
fn every_rule_is_well_formed() {
    assert_none(rules().filter_map(|(rpc, rule, template)| {
        let good = template.is_some_and(|template| template.segments[0] == Segment::Literal("v1".to_owned()));
        (!good).then(|| format!("{}: {}", rpc.name, rule.path))
    }));
}

#[test]
fn variables_name_scalar_fields_of_the_request() {
    assert_none(rules().flat_map(|(rpc, rule, template)| {
        let variables = template.map(|template| template.variables).unwrap_or_default();
        let bad = variables.into_iter().filter(|path| {
            field(&rpc.input, path).is_none_or(|field| field.is_list() || field.kind().as_message().is_some())
        });
        bad.map(|path| format!("{}: {} binds {path}", rpc.name, rule.path)).collect::<Vec<_>>()
    }));
}

#[test]
fn bodies_name_a_field_of_the_request() {
    assert_none(rules().filter_map(|(rpc, rule, _)| {
        let good = match (rule.method.as_str(), rule.body.as_str()) {
            ("get" | "delete", body) => body.is_empty(),
            (_, "*") => true,
            (_, body) => field(&rpc.input, body).is_some(),
        };
        (!good).then(|| format!("{}: {} has the body {:?}", rpc.name, rule.method, rule.body))
    }));
}

#[test]
fn get_is_for_what_changes_nothing() {
    assert_none(rules().filter_map(|(rpc, rule, _)| {
        let excepted = READS_BY_POST.iter().any(|(name, _)| *name == rpc.name);
        let wanted = rpc.reads() && !excepted;
        ((rule.method == "get") != wanted).then(|| format!("{} is reached by {}", rpc.name, rule.method))
    }));
}

/// What neither path nor body binds is a query parameter, and those are scalars, lists of them, or fields of messages.
#[test]
fn the_rest_fits_into_a_query() {
    fn fits(field: &FieldDescriptor) -> bool {
        match field.kind() {
            _ if field.is_map() => false,
            // Types that a query writes as one value.
            Kind::Message(message) if message.package_name() == "google.protobuf" => !field.is_list(),
            Kind::Message(message) => !field.is_list() && message.fields().all(|field| fits(&field)),
            _ => true,
        }
    }
    assert_none(rules().filter(|(_, rule, _)| rule.body != "*").flat_map(|(rpc, rule, _)| {
        let rest = rpc.input.fields().filter(|field| field.name() != rule.body);
        let bad = rest.filter(|field| !fits(field));
        bad.map(|field| format!("{}: {} cannot stand in a query", rpc.name, field.name())).collect::<Vec<_>>()
    }));
}

#[test]
fn a_path_leads_to_one_rpc() {
    let all: Vec<_> = rules().filter_map(|(rpc, rule, template)| Some((rpc, rule, template?))).collect();
    assert_none(all.iter().enumerate().flat_map(|(at, (rpc, rule, template))| {
        let others = all[..at].iter().filter(|(_, other, _)| other.method == rule.method);
        let same = others.filter(|(_, _, other)| other.is_ambiguous_beside(template));
        same.map(|(other, found, _)| format!("{} {} and {} {}", rpc.name, rule.path, other.name, found.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn templates_are_told_apart() {
    let check = |one: &str, two: &str, ambiguous: bool| {
        let parse = |path: &str| Template::parse(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(parse(one).is_ambiguous_beside(&parse(two)), ambiguous, "{one} {two}");
        assert_eq!(parse(two).is_ambiguous_beside(&parse(one)), ambiguous, "{two} {one}");
    };
    check("/v1/teams/{id}", "/v1/teams/{team.id}", true);
    check("/v1/teams/{id}", "/v1/teams/*", true);
    check("/v1/teams/{id}", "/v1/teams/mine", false);
    check("/v1/{id}/mine", "/v1/teams/{id}", true);
    check("/v1/teams/{id}", "/v1/teams/{id}:leave", false);
    check("/v1/teams/{id}:leave", "/v1/teams/{id}:join", false);
    check("/v1/teams", "/v1/teams/{id}", false);
    check("/v1/teams", "/v1/users", false);
    for bad in
        ["", "v1", "/v1//x", "/v1/{a", "/v1/{a}b", "/v1/{}", "/v1/{a.}", "/v1/{a}:", "/v1/a b", "/v1/{a=**}", "/v1/x/"]
    {
        assert_eq!(Template::parse(bad), None, "{bad}");
    }
}
