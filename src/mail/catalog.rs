//! The templates: those that are built in, in English, and those of the operator, a folder for each language.
//!
//! What is here: reading them, and choosing those for a recipient. Whether they are any good is found out in `check`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};

use super::check::Problems;
use crate::domain::profile::Locale;

/// The language of the templates that are built in.
const BUILT_IN: &str = "en";

/// What is built in. The name decides about escaping: `.html` escapes every value, `.txt` none.
const FILES: [(&str, &str); 7] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("invitation.subject.txt", include_str!("templates/invitation.subject.txt")),
    ("invitation.txt", include_str!("templates/invitation.txt")),
    ("invitation.html", include_str!("templates/invitation.html")),
    ("renewal.subject.txt", include_str!("templates/renewal.subject.txt")),
    ("renewal.txt", include_str!("templates/renewal.txt")),
    ("renewal.html", include_str!("templates/renewal.html")),
];

/// The kinds of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Invitation,
    Renewal,
}

/// The parts of a mail, each of which has a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Subject,
    Text,
    Html,
}

/// Every template there is.
#[derive(Debug, Clone)]
pub(super) struct Catalog {
    templates: Environment<'static>,
    /// The operator's, by language.
    own: BTreeMap<String, Folder>,
    /// The language of who has none, or one without templates.
    default: String,
}

/// An operator's templates in one language.
#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    /// Its name as it is written, of which problems are told.
    name: String,
    files: BTreeSet<(Kind, Part)>,
}

/// The templates for one mail.
pub(super) struct Chosen<'a> {
    catalog: &'a Catalog,
    kind: Kind,
    own: Option<(&'a str, &'a Folder)>,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Subject, Self::Text, Self::Html];
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Invitation, Self::Renewal];

    /// The name of the file that holds the template of `part`.
    pub(super) fn file(self, part: Part) -> &'static str {
        match (self, part) {
            (Self::Invitation, Part::Subject) => "invitation.subject.txt",
            (Self::Invitation, Part::Text) => "invitation.txt",
            (Self::Invitation, Part::Html) => "invitation.html",
            (Self::Renewal, Part::Subject) => "renewal.subject.txt",
            (Self::Renewal, Part::Text) => "renewal.txt",
            (Self::Renewal, Part::Html) => "renewal.html",
        }
    }
}

impl Catalog {
    /// What is built in.
    pub(super) fn built_in() -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        for (name, source) in FILES {
            templates.add_template(name, source)?;
        }
        Ok(Self { templates, own: BTreeMap::new(), default: BUILT_IN.to_owned() })
    }

    /// Adds the templates in the folders of `root`, and notes what cannot be used.
    pub(super) fn read(&mut self, root: &Path, problems: &mut Problems) {
        for (name, path) in entries(root, "", problems) {
            if !path.is_dir() {
                problems.add(&name, "is not a folder; each language has one, such as de or pt-BR");
                continue;
            }
            match Locale::parse(&name) {
                Ok(tag) => self.read_folder(tag.as_str(), &name, &path, problems),
                Err(_) => problems.add(&name, "is not named by a language tag such as de or pt-BR"),
            }
        }
    }

    fn read_folder(&mut self, tag: &str, name: &str, path: &Path, problems: &mut Problems) {
        if let Some(other) = self.own.get(tag) {
            return problems.add(name, &format!("is for the same language as {}", other.name));
        }
        let mut folder = Folder { name: name.to_owned(), files: BTreeSet::new() };
        for (file, path) in entries(path, name, problems) {
            let place = format!("{name}/{file}");
            match named(&file) {
                Some(of) => {
                    self.read_file(&place, &path, problems);
                    folder.files.insert(of);
                }
                None => problems.add(&place, &format!("is not a known name; known here: {}", names().join(", "))),
            }
        }
        self.own.insert(tag.to_owned(), folder);
    }

    fn read_file(&mut self, place: &str, path: &Path, problems: &mut Problems) {
        match fs::read_to_string(path) {
            Ok(source) => {
                if let Err(error) = self.templates.add_template_owned(place.to_owned(), source) {
                    problems.add(place, &error_text(&error));
                }
            }
            Err(error) => problems.add(place, &format!("cannot be read: {error}")),
        }
    }

    /// Makes `tag` the language of who has none. It needs templates.
    pub(super) fn set_default(&mut self, tag: &str, problems: &mut Problems) {
        // The configuration has been checked, so it is a tag.
        self.default = Locale::parse(tag).map_or_else(|_| tag.to_owned(), |locale| locale.to_string());
        if !Kind::ALL.iter().any(|kind| lookup(&self.default).any(|tag| self.has(tag, *kind))) {
            problems.add(tag, "is mail.default_locale, and there are no templates in that language");
        }
    }

    /// The templates for a mail to somebody with this language: of the first language that has any for this kind of
    /// mail among the recipient's own, its more general forms (`pt` for `pt-BR`), and the default. What it lacks is
    /// built in.
    pub(super) fn choose(&self, kind: Kind, locale: Option<&str>) -> Chosen<'_> {
        let asked = locale.and_then(|tag| Locale::parse(tag).ok()).map(|tag| tag.to_string()).unwrap_or_default();
        let found = lookup(&asked).chain(lookup(&self.default)).find(|tag| self.has(tag, kind));
        let own = found.and_then(|tag| self.own.get_key_value(tag));
        // A folder for English may lack this kind of mail altogether; then the built-in English was meant.
        let own = own.filter(|(_, folder)| folder.has(kind)).map(|(tag, folder)| (tag.as_str(), folder));
        Chosen { catalog: self, kind, own }
    }

    fn has(&self, tag: &str, kind: Kind) -> bool {
        tag == BUILT_IN || self.own.get(tag).is_some_and(|folder| folder.has(kind))
    }

    /// The operator's templates: each one's place (`de/invitation.txt`), kind and part.
    pub(super) fn own(&self) -> impl Iterator<Item = (String, Kind, Part)> {
        let places = |folder: &Folder| {
            let name = folder.name.clone();
            let of = folder.files.clone();
            of.into_iter().map(move |(kind, part)| (format!("{name}/{}", kind.file(part)), kind, part))
        };
        self.own.values().flat_map(places)
    }

    /// The names that the template at `place` uses and does not define. `None` if there is no such template.
    pub(super) fn uses(&self, place: &str) -> Option<BTreeSet<String>> {
        let template = self.templates.get_template(place).ok()?;
        Some(template.undeclared_variables(false).into_iter().collect())
    }

    /// Fills the template at `place`.
    pub(super) fn fill(&self, place: &str, view: Value) -> Result<String, minijinja::Error> {
        self.templates.get_template(place)?.render(view)
    }
}

impl Folder {
    fn has(&self, kind: Kind) -> bool {
        self.files.iter().any(|(of, _)| *of == kind)
    }
}

impl Chosen<'_> {
    /// Fills the template of `part`.
    pub(super) fn fill(&self, part: Part, view: Value) -> Result<String, minijinja::Error> {
        let file = self.kind.file(part);
        match self.owner(part) {
            Some((_, folder)) => self.catalog.fill(&format!("{}/{file}", folder.name), view),
            None => self.catalog.fill(file, view),
        }
    }

    /// The languages of the templates, as a `Content-Language` header tells them.
    pub(super) fn languages(&self) -> String {
        let mut tags: Vec<&str> = Vec::new();
        for part in Part::ALL {
            let tag = self.owner(part).map_or(BUILT_IN, |(tag, _)| tag);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags.join(", ")
    }

    /// The operator's folder, if it has a template of `part`.
    fn owner(&self, part: Part) -> Option<(&str, &Folder)> {
        self.own.filter(|(_, folder)| folder.files.contains(&(self.kind, part)))
    }
}

/// `tag` and its more general forms, as RFC 4647 looks them up: `zh-Hant-TW`, `zh-Hant`, `zh`.
fn lookup(tag: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tag).filter(|tag| !tag.is_empty()), |tag| {
        let (general, _) = tag.rsplit_once('-')?;
        // A single letter only announces what has just been cut off.
        match general.rsplit_once('-') {
            Some((shorter, announcement)) if announcement.len() == 1 => Some(shorter),
            _ => Some(general),
        }
    })
}

/// What may stand in a folder, and what is in each file.
fn named(file: &str) -> Option<(Kind, Part)> {
    let all = Kind::ALL.into_iter().flat_map(|kind| Part::ALL.map(|part| (kind, part)));
    all.into_iter().find(|(kind, part)| kind.file(*part) == file)
}

fn names() -> Vec<&'static str> {
    Kind::ALL.into_iter().flat_map(|kind| Part::ALL.map(|part| kind.file(part))).collect()
}

/// What is in a folder, in the order of names. What begins with a dot is left alone: editors and Kubernetes put such
/// things beside the files.
fn entries(folder: &Path, place: &str, problems: &mut Problems) -> Vec<(String, PathBuf)> {
    let read = || -> io::Result<Vec<_>> {
        fs::read_dir(folder)?
            .map(|entry| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())))
            .collect()
    };
    match read() {
        Ok(mut found) => {
            found.retain(|(name, _)| !name.starts_with('.'));
            found.sort();
            found
        }
        Err(error) => {
            let place = if place.is_empty() { folder.display().to_string() } else { place.to_owned() };
            problems.add(&place, &format!("cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// What is wrong with a template, and where; the file is named elsewhere.
pub(super) fn error_text(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}
