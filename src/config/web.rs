//! Addresses of web pages: those that stand in mails, and the origins of those that call.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Origin, Url};

use super::text::InvalidText;

/// The longest address in octets, so that it fits a line of a mail.
const MAX: usize = 900;

/// An absolute `http` or `https` URL that can stand in HTML and on a line of text as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl(String);

impl WebUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is fetched in a way that nobody on the network can read or change.
    pub(super) fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for WebUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = InvalidText("expected an absolute http:// or https:// URL");
        let url = Url::parse(text).map_err(|_| expected.clone())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(expected);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidText("must have neither user nor password"));
        }
        let plain = |b: u8| b.is_ascii_graphic() && !br#""'<>\^`{|}"#.contains(&b);
        if !url.as_str().bytes().all(plain) || url.as_str().len() > MAX {
            return Err(InvalidText(
                "must have at most 900 characters, and no quotes, brackets or other unusual signs",
            ));
        }
        Ok(Self(url.into()))
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The page of one invitation: a [`WebUrl`] in which `{team_id}` and `{invitation_id}` stand for the ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamUrl(String);

impl TeamUrl {
    /// The address of the page for this invitation of this team.
    pub fn fill(&self, team: &str, invitation: &str) -> String {
        self.0.replace("{team_id}", team).replace("{invitation_id}", invitation)
    }
}

impl FromStr for TeamUrl {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As long as an id is.
        let [one, other] = ["1", "2"].map(|digit| Self(text.to_owned()).fill(&digit.repeat(36), &digit.repeat(36)));
        if one.contains(['{', '}']) {
            return Err(InvalidText("may hold {team_id} and {invitation_id}, and no other braces"));
        }
        let (WebUrl(one), WebUrl(other)) = (one.parse()?, other.parse()?);
        let origin = |url: &str| Url::parse(url).map(|url| url.origin());
        if origin(&one) != origin(&other) {
            return Err(InvalidText("must name its host without {team_id} and {invitation_id}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TeamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The origin of a page as browsers send it (RFC 6454): scheme, host, and the port unless it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", inline)]
pub struct PageOrigin(String);

impl PageOrigin {
    /// The origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PageOrigin {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = || InvalidText("expected an origin such as https://app.example.com or http://localhost:3000");
        let url = Url::parse(&text).map_err(|_| expected())?;
        let plain = matches!(url.scheme(), "http" | "https") && matches!(url.origin(), Origin::Tuple(..));
        // Nothing but the origin, in any spelling.
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if plain && bare && url.username().is_empty() && url.password().is_none() {
            Ok(Self(url.origin().ascii_serialization()))
        } else {
            Err(expected())
        }
    }
}

impl From<PageOrigin> for String {
    fn from(origin: PageOrigin) -> Self {
        origin.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_needs_no_escaping_but_of_ampersands() {
        assert_eq!("https://h/ä b?x=1&y=2".parse::<WebUrl>().unwrap().as_str(), "https://h/%C3%A4%20b?x=1&y=2");
        let long = format!("https://h/{}", "x".repeat(900));
        for refused in
            ["/x", "ftp://h/", "javascript:alert(1)", "https://u@h/", "https://h/it's", "https://h/a|b", &long]
        {
            assert!(refused.parse::<WebUrl>().is_err(), "{refused}");
        }
    }

    #[test]
    fn ids_stand_in_the_path_the_query_or_the_fragment() {
        let url: TeamUrl = "https://h/teams/{team_id}?i={invitation_id}#{team_id}".parse().unwrap();
        assert_eq!(url.fill("t", "i"), "https://h/teams/t?i=i#t");
        assert!("https://h/teams".parse::<TeamUrl>().is_ok());
        for refused in ["https://{team_id}.h/", "https://h/{team}", "https://h/{team_id", "{team_id}", "/{team_id}"] {
            assert!(refused.parse::<TeamUrl>().is_err(), "{refused}");
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let read = |text: &str| PageOrigin::try_from(text.to_owned()).map(String::from).ok();
        assert_eq!(read("https://App.example.com:443/").as_deref(), Some("https://app.example.com"));
        assert_eq!(read("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for refused in
            ["*", "null", "app.example.com", "https://a/b", "https://a?b", "https://u@a", "ftp://a", "file:///"]
        {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
