//! The text part as it is sent: lines of at most [`WIDTH`] characters, and never two empty ones in a row.
//!
//! Templates need not care how long a name is. Far below the 998 octets that SMTP allows, so that an ASCII mail needs no
//! transfer encoding.

/// Width of a line, in characters.
const WIDTH: usize = 72;

/// `text` with its long lines folded between words. What follows a quotation mark (`> `) or a list's dash (`- `) stays
/// behind it. A link or an address is never broken; another word that is too long for a line is cut.
pub(super) fn fold(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() && out.last().is_none_or(String::is_empty) {
            continue;
        }
        out.extend(fold_line(line));
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out.iter().flat_map(|line| [line, "\n"]).collect()
}

fn fold_line(line: &str) -> Vec<String> {
    if line.chars().count() <= WIDTH {
        return vec![line.to_owned()];
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let (first, rest) = match line.get(indent..indent + 2) {
        Some(mark @ ("> " | "- " | "* ")) => (format!("{}{mark}", " ".repeat(indent)), &line[indent + 2..]),
        _ => (" ".repeat(indent), &line[indent..]),
    };
    let next = first.replace(['-', '*'], " ");
    let width = WIDTH.saturating_sub(first.len()).max(WIDTH / 2);
    let folded = fold_words(rest, width);
    folded.into_iter().enumerate().map(|(n, line)| format!("{}{line}", if n == 0 { &first } else { &next })).collect()
}

fn fold_words(text: &str, width: usize) -> Vec<String> {
    let mut folded = Vec::new();
    let mut current = String::new();
    for piece in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        if !current.is_empty() {
            if current.chars().count() + 1 + piece.chars().count() > width {
                folded.push(std::mem::take(&mut current));
            } else {
                current.push(' ');
            }
        }
        current.push_str(&piece);
    }
    folded.push(current);
    folded
}

/// A word in pieces that each fit on a line. All but the last fill theirs, so that no space ever joins two of them.
/// Nobody's words are a link when they come here, so what looks like one is the template's own.
fn pieces(word: &str, width: usize) -> Vec<String> {
    if word.contains("://") || word.contains('@') {
        return vec![word.to_owned()];
    }
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(width).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_and_lose_nothing() {
        let text = "word ".repeat(40) + &"y".repeat(200);
        let folded = fold(&text);
        assert!(folded.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(folded.replace(['\n', ' '], ""), text.replace(' ', ""));
    }

    #[test]
    fn quotations_and_lists_hang() {
        let words = "word ".repeat(20);
        for (mark, hang) in [("> ", "> "), ("- ", "  "), ("  * ", "    ")] {
            let folded = fold(&format!("{mark}{words}"));
            let lines: Vec<&str> = folded.lines().collect();
            assert!(lines[0].starts_with(&format!("{mark}word")) && lines[1].starts_with(&format!("{hang}word")));
            assert!(lines.iter().all(|line| line.len() <= WIDTH));
        }
    }

    #[test]
    fn links_and_addresses_stay_whole_and_empty_lines_single() {
        let link = format!("https://example.com/{}", "x".repeat(100));
        let address = format!("{}@example.com", "x".repeat(80));
        assert_eq!(fold(&format!("\n\nsee {link}\n \n\n{address}\n\n")), format!("see\n{link}\n\n{address}\n"));
    }
}
