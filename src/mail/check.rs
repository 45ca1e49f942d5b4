//! Looks at an operator's templates before the first mail: each is filled with sample mails, so that what would fail for
//! some recipient some day fails at start.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use minijinja::Value;
use uuid::Uuid;

use super::{
    GrantedTeam, InvitationMail, RenderError, RenewalMail,
    brand::{Brand, Form},
    catalog::{Catalog, Kind, Part, error_text},
    fold::fold,
    template::Letter,
    untrusted,
};
use crate::{
    config::TeamUrl,
    domain::{InvitationId, TeamId},
};

/// Stands in the names of the samples. Nothing but a value that is not escaped brings it into an HTML part.
const MARK: &str = "<sample>";
const LINK: &str = "https://sample.example/accept?lang=en&token=sample";
const LOGO: &str = "https://sample.example/logo.png";

/// What is wrong with the templates: each file's place and what is wrong with it, in the order of discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Notes a problem, once.
    pub(super) fn add(&mut self, place: &str, what: &str) {
        let problem = (place.to_owned(), what.to_owned());
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn knows(&self, place: &str) -> bool {
        self.0.iter().any(|(known, _)| known == place)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the mail templates have a problem:")?,
            n => write!(f, "the mail templates have {n} problems:")?,
        }
        self.0.iter().try_for_each(|(place, what)| write!(f, "\n  {place}: {what}"))
    }
}

/// A sample mail as templates see it, and the link that its bodies have to hold.
struct Sample {
    text: Value,
    html: Value,
    link: Option<String>,
}

/// Checks every template of the operator's. `brand` says whether mails are to lead to the page of an invitation.
pub(super) fn check(catalog: &Catalog, brand: &Brand, problems: &mut Problems) -> Result<(), RenderError> {
    for kind in Kind::ALL {
        let samples = samples(kind, brand.team_url.is_some())?;
        let own = catalog.own().filter(|(_, of, _)| *of == kind);
        // A template that could not be read has been told of.
        for (place, _, part) in own.filter(|(place, ..)| !problems.knows(place)).collect::<Vec<_>>() {
            for what in names(catalog, &place, &samples) {
                problems.add(&place, &what);
            }
            if let Err(what) = samples.iter().try_for_each(|sample| fill(catalog, &place, part, sample))
                && !problems.knows(&place)
            {
                problems.add(&place, &what);
            }
        }
    }
    Ok(())
}

/// What is wrong with the names that a template uses, also where no sample leads.
fn names(catalog: &Catalog, place: &str, samples: &[Sample]) -> Vec<String> {
    let known: BTreeSet<String> = samples.first().map(|sample| keys(&sample.text)).unwrap_or_default();
    let unknown = catalog.uses(place).unwrap_or_default().into_iter().filter(|name| !known.contains(name));
    let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    unknown.map(|name| format!("uses {name}, which is not a variable; known here: {known}")).collect()
}

fn keys(view: &Value) -> BTreeSet<String> {
    view.try_iter().into_iter().flatten().map(|key| key.to_string()).collect()
}

/// Fills one template with one sample, and looks at what comes out.
fn fill(catalog: &Catalog, place: &str, part: Part, sample: &Sample) -> Result<(), String> {
    let view = if part == Part::Html { &sample.html } else { &sample.text };
    let out = catalog.fill(place, view.clone()).map_err(|error| error_text(&error))?;
    let link = sample.link.as_deref();
    match part {
        Part::Subject if untrusted::header(&out).is_empty() => Err("comes out empty".to_owned()),
        Part::Text if link.is_some_and(|link| !fold(&out).split_whitespace().any(|word| word == link)) => {
            Err("lacks the link, with white space around it".to_owned())
        }
        Part::Html if link.is_some_and(|link| !refers_to(&out, link)) => {
            Err("lacks the link, as the href of an element".to_owned())
        }
        Part::Html if out.contains(MARK) => Err("writes a value without escaping it".to_owned()),
        _ => Ok(()),
    }
}

fn refers_to(html: &str, link: &str) -> bool {
    let link = link.replace('&', "&amp;");
    html.contains(&format!("href=\"{link}\"")) || html.contains(&format!("href='{link}'"))
}

/// Sample mails of every shape.
fn samples(kind: Kind, with_page: bool) -> Result<Vec<Sample>, RenderError> {
    let page: Option<TeamUrl> = "https://sample.example/?team={team_id}&invitation={invitation_id}".parse().ok();
    let full = Brand {
        product: format!("Product {MARK}"),
        logo_url: Some(LOGO.to_owned()),
        support_address: Some("help@sample.example".to_owned()),
        login_url: Some("https://sample.example/login".to_owned()),
        team_url: page.clone(),
    };
    // A page that is configured is there for every mail, one that is not for none.
    let bare = Brand { product: "Product".to_owned(), team_url: page.filter(|_| with_page), ..Brand::default() };
    let mut samples = Vec::new();
    for brand in [full, bare] {
        match kind {
            Kind::Invitation => {
                for mail in invitations() {
                    samples.push(sample(&mail, &brand, Some(LINK.to_owned()))?);
                }
            }
            Kind::Renewal => {
                let mail = renewal();
                let url = brand.team_url.as_ref().filter(|_| with_page);
                let link = url.map(|url| url.fill(&mail.team_id.to_string(), &mail.invitation_id.to_string()));
                samples.push(sample(&mail, &brand, link)?);
            }
        }
    }
    Ok(samples)
}

fn sample<L: Letter>(mail: &L, brand: &Brand, link: Option<String>) -> Result<Sample, RenderError> {
    Ok(Sample { text: mail.view(brand, Form::Text)?, html: mail.view(brand, Form::Html)?, link })
}

fn invitations() -> Vec<InvitationMail> {
    let text = |what: &str| format!("{what} {MARK}");
    let grant = |roles: usize, permissions| GrantedTeam {
        team: text("Team"),
        roles: (0..roles).map(|_| text("Role")).collect(),
        permissions,
    };
    let mut mails = Vec::new();
    let shapes = [vec![grant(1, 0)], vec![grant(0, 1)], vec![grant(0, 0)], vec![grant(2, 2), grant(1, 0), grant(0, 1)]];
    for grants in shapes {
        for inviter in [Some(text("Inviter")), None] {
            for message in [Some(format!("{}\n\nBye", text("Hi"))), None] {
                mails.push(InvitationMail {
                    message_id_seed: Uuid::nil(),
                    date: DateTime::<Utc>::UNIX_EPOCH,
                    to: "sample@sample.example".to_owned(),
                    locale: None,
                    grants: grants.clone(),
                    inviter_name: inviter.clone(),
                    message,
                    link: LINK.into(),
                    login_email: "sample@sample.example".to_owned(),
                    expire_time: DateTime::<Utc>::UNIX_EPOCH,
                });
            }
        }
    }
    mails
}

fn renewal() -> RenewalMail {
    RenewalMail {
        message_id_seed: Uuid::nil(),
        date: DateTime::<Utc>::UNIX_EPOCH,
        to: "sample@sample.example".to_owned(),
        locale: None,
        team_id: TeamId(Uuid::nil()),
        invitation_id: InvitationId(Uuid::nil()),
        team: format!("Team {MARK}"),
        invited_address: "other@sample.example".to_owned(),
        expired_time: DateTime::<Utc>::UNIX_EPOCH,
        request_time: DateTime::<Utc>::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests;
