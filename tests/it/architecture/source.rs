//! The project's files as the tests of the house read them: Rust as tokens, so that what stands in comments and strings
//! does not count, and without what is compiled for tests only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path as FilePath, PathBuf},
    str::FromStr as _,
    sync::LazyLock,
};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A Rust file.
pub struct Source {
    /// From the repository's root.
    pub path: String,
    pub text: String,
    /// Every path that is named.
    pub names: Vec<Name>,
    /// Every token, groups flattened.
    pub tokens: Vec<Token>,
    /// Every attribute, such as `[expect(dead_code,reason="…")]`, without white space.
    pub attributes: Vec<Token>,
    /// The files of the modules that this one declares for tests only.
    tests: Vec<String>,
    with_tests: bool,
}

/// A path that code names, such as `crate::domain::Team`. It is made to begin with `crate` or with the name of a library,
/// as far as the file's own imports tell.
pub struct Name {
    pub segments: Vec<String>,
    pub line: usize,
    /// The name under which a `use` brings it in.
    pub import: Option<String>,
}

/// A token and where it stands.
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Where the repository is.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that belongs to the project, from the root: what git would track, without asking git.
pub fn project_files() -> Vec<String> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort();
    files
}

fn collect(folder: &FilePath, prefix: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        // What `.gitignore` names, and git itself.
        let ignored = ["target", ".tools", "data", "gen", ".git"].contains(&path.as_str()) || name == "__pycache__";
        match entry.file_type().unwrap() {
            _ if ignored => {}
            kind if kind.is_dir() => collect(&entry.path(), &format!("{path}/"), files),
            _ => files.push(path),
        }
    }
}

/// The folders that our Rust code is in.
const FOLDERS: [&str; 5] = ["client", "migrations", "proto", "src", "tests"];

/// All of our Rust files.
pub fn rust_files() -> &'static [Source] {
    static FILES: LazyLock<Vec<Source>> = LazyLock::new(|| read(true));
    &FILES
}

/// Our Rust files without what is compiled for tests only.
pub fn shipped_files() -> &'static [Source] {
    static FILES: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut files = read(false);
        let tests: BTreeSet<String> = files.iter().flat_map(|file| file.tests.iter().cloned()).collect();
        // With a module, those below it are for tests too.
        let for_tests = |path: &str| tests.iter().any(|test| is_in(path, test.strip_suffix(".rs").unwrap_or(test)));
        files.retain(|file| !file.path.starts_with("tests/") && !for_tests(&file.path));
        files
    });
    &FILES
}

fn read(with_tests: bool) -> Vec<Source> {
    let ours = |path: &String| FOLDERS.iter().any(|folder| is_in(path, folder)) && path.ends_with(".rs");
    let files: Vec<Source> = project_files()
        .into_iter()
        .filter(ours)
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            Source::parse(&path, text, with_tests)
        })
        .collect();
    assert!(files.len() > 50, "only {} Rust files were found", files.len());
    files
}

/// Whether a file is this one, or the module of this name, or below it.
pub fn is_in(path: &str, place: &str) -> bool {
    path == place || path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

impl Source {
    /// Reads what a file holds, with or without what is compiled for tests only.
    pub fn parse(path: &str, text: String, with_tests: bool) -> Self {
        let stream = TokenStream::from_str(&text).unwrap_or_else(|why| panic!("{path}: {why}"));
        let mut source = Self {
            path: path.to_owned(),
            text,
            names: Vec::new(),
            tokens: Vec::new(),
            attributes: Vec::new(),
            tests: Vec::new(),
            with_tests,
        };
        source.walk(stream, &module_of(path));
        source.expand_imports();
        source
    }

    /// Puts what was imported in the place of the name under which it was.
    fn expand_imports(&mut self) {
        let imports = self.names.iter().filter_map(|name| Some((name.import.clone()?, name.segments.clone())));
        let imports: BTreeMap<String, Vec<String>> = imports.collect();
        for name in self.names.iter_mut().filter(|name| name.import.is_none() && name.segments.len() > 1) {
            if let Some(import) = imports.get(&name.segments[0]) {
                name.segments.splice(..1, import.iter().cloned());
            }
        }
    }

    /// The layer of the library that the file belongs to.
    pub fn layer(&self) -> String {
        module_of(&self.path).into_iter().next().unwrap_or_default()
    }

    /// Where these tokens, given with spaces between them, follow each other.
    pub fn find(&self, wanted: &str) -> Vec<String> {
        let wanted = wanted.replace("::", " : : ");
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        let same = |found: &&[Token]| found.iter().zip(&wanted).all(|(token, wanted)| token.text == *wanted);
        let found = self.tokens.windows(wanted.len()).filter(same);
        found.map(|found| format!("{} has `{}`", self.place(found[0].line), wanted.concat())).collect()
    }

    /// A place for people.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    fn walk(&mut self, stream: TokenStream, module: &[String]) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            let test = if self.with_tests { None } else { self.end_of_test_item(&trees, at) };
            if let Some(end) = test {
                at = end;
                continue;
            }
            if starts_path(&trees, at) {
                let import = at > 0 && is_ident(&trees[at - 1], "use");
                self.path_at(&trees, at, Vec::new(), import, module);
            }
            self.note(&trees, at, module);
            at += 1;
        }
    }

    /// Keeps a token, and goes on inside of a group.
    fn note(&mut self, trees: &[TokenTree], at: usize, module: &[String]) {
        let line = trees[at].span().start().line;
        self.attributes.extend(attribute(trees, at).map(|text| Token { text, line }));
        let TokenTree::Group(group) = &trees[at] else {
            self.tokens.push(Token { text: trees[at].to_string(), line });
            return;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::None => ("", ""),
        };
        let inline = at >= 2 && is_ident(&trees[at - 2], "mod") && open == "{";
        let inner = if inline { [module, &[trees[at - 1].to_string()]].concat() } else { module.to_vec() };
        self.tokens.push(Token { text: open.to_owned(), line });
        let known = self.names.len();
        self.walk(group.stream(), &inner);
        if at > 0 && is_punct(&trees[at - 1], ':') {
            // The branches of a `use` tree are no paths by themselves.
            self.names.truncate(known);
        }
        self.tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
    }

    /// Records the path that begins at `at`, or all the paths of a `use` tree.
    fn path_at(&mut self, trees: &[TokenTree], mut at: usize, mut path: Vec<String>, import: bool, module: &[String]) {
        let Some(first) = trees.get(at) else { return };
        let line = first.span().start().line;
        loop {
            match trees.get(at) {
                Some(TokenTree::Ident(ident)) => path.push(ident.to_string()),
                Some(TokenTree::Group(group)) if import && group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|tree| is_punct(tree, ',')) {
                        self.path_at(branch, 0, path.clone(), true, module);
                    }
                    return;
                }
                _ => break,
            }
            if !is_colons(trees, at + 1) {
                break;
            }
            at += 3;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let renamed = trees.get(at + 1).filter(|tree| is_ident(tree, "as")).and_then(|_| trees.get(at + 2));
        let import = import.then(|| renamed.map(ToString::to_string).or(path.last().cloned())).flatten();
        self.names.push(Name { segments: absolute(path, module), line, import });
    }

    /// The end of the item that begins at `at`, if it is compiled for tests only.
    fn end_of_test_item(&mut self, trees: &[TokenTree], mut at: usize) -> Option<usize> {
        if attribute(trees, at)? != "[cfg(test)]" {
            return None;
        }
        while attribute(trees, at).is_some() {
            at += 2;
        }
        let mut ends_with_body = true;
        while let Some(tree) = trees.get(at) {
            ends_with_body &= !["use", "const", "static", "type"].iter().any(|keyword| is_ident(tree, keyword));
            if is_ident(tree, "mod") && trees.get(at + 2).is_some_and(|tree| is_punct(tree, ';')) {
                let folder = self.path.trim_end_matches(".rs").trim_end_matches("/lib").trim_end_matches("/main");
                self.tests.push(format!("{folder}/{}.rs", trees[at + 1]));
            }
            at += 1;
            let body = matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            if is_punct(tree, ';') || (body && ends_with_body) {
                break;
            }
        }
        Some(at)
    }
}

/// The attribute that begins at `at`, without its `#` and without white space.
fn attribute(trees: &[TokenTree], at: usize) -> Option<String> {
    let hash = trees.get(at).filter(|tree| is_punct(tree, '#'));
    let group = hash.and_then(|_| trees[at + 1..].iter().find(|tree| !is_punct(tree, '!')))?;
    let bracket = matches!(group, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket);
    bracket.then(|| group.to_string().split_whitespace().collect())
}

/// `src/mail/worker.rs` is the module `mail::worker`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside).trim_end_matches(".rs");
    let roots = ["lib", "main"];
    inside.split('/').filter(|part| !roots.contains(part)).map(ToOwned::to_owned).collect()
}

fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let supers = path.iter().take_while(|segment| *segment == "super" || *segment == "self").count();
    if supers == 0 {
        return path;
    }
    let up = path.iter().take(supers).filter(|segment| *segment == "super").count();
    let kept = module.len().saturating_sub(up);
    let parts = std::iter::once("crate".to_owned()).chain(module[..kept].iter().cloned());
    parts.chain(path.into_iter().skip(supers)).collect()
}

/// Whether a path begins here: at a name that nothing stands before but, perhaps, the `::` of a path from the root.
fn starts_path(trees: &[TokenTree], at: usize) -> bool {
    if !matches!(trees[at], TokenTree::Ident(_)) {
        return false;
    }
    match at.checked_sub(2) {
        Some(before) if is_colons(trees, before) => before
            .checked_sub(1)
            .is_none_or(|before| !matches!(trees[before], TokenTree::Ident(_)) && !is_punct(&trees[before], '>')),
        _ => at == 0 || !is_punct(&trees[at - 1], '.'),
    }
}

fn is_colons(trees: &[TokenTree], at: usize) -> bool {
    let joint =
        matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint);
    joint && trees.get(at + 1).is_some_and(|tree| is_punct(tree, ':'))
}

fn is_ident(tree: &TokenTree, wanted: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == wanted)
}

fn is_punct(tree: &TokenTree, wanted: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == wanted)
}
