//! Words of people who mean harm, or who merely have unusual names.

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href=\"https://evil.com\">click</a>",
    "<a href='//evil.com'>",
    "\"><svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "</td></tr></table><h1>New mail</h1>",
    "</title><meta http-equiv=\"refresh\" content=\"0;url=https://evil.com\">",
    "<!-- comment",
    "--> after <style>*{display:none}</style>",
    "]]><![CDATA[x",
    "&lt;script&gt;",
    "&#60;b&#62;",
    "&amp;&nbsp;&",
    "{{7*7}}",
    "{% for x in teams %}{{ link }}{% endfor %}",
    "{{ link }}{# comment #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "Bob\r\nBcc: eve@evil.com",
    "Bob\nSubject: other",
    "Bob\r\n\r\n<html>other body</html>",
    "Bob\rCc: eve@evil.com",
    "Bob%0d%0aBcc: eve@evil.com",
    "Bob\u{2028}Bcc: eve@evil.com",
    "Bob\u{85}\u{b}\u{c}Bcc: x",
    "nul\0inside",
    "\u{1b}[31mred\u{7}",
    "\u{202e}moc.live\u{202c}",
    "\u{2066}\u{2067}isolated\u{2069}",
    "\u{200e}\u{200f}\u{61c}marks",
    "=?utf-8?b?PHNjcmlwdD4=?=",
    "=?utf-8?q?=0D=0ABcc:_eve?=",
    "evil.com",
    "https://evil.com/login?token=1",
    "http://localhost:8080/x",
    "HTTPS://EVIL.COM",
    "www.evil.com",
    "//evil.com/x",
    "\\\\evil.com\\share",
    "mailto:eve@evil.com",
    "eve@evil.com",
    "javascript:alert(document.cookie)",
    "data:text/html,<b>x</b>",
    "tel:+15550100",
    "evil\u{3002}com",
    "evil\u{ff0e}com",
    "evil\u{200b}.\u{2060}com",
    "ev\u{ad}il.c\u{feff}om",
    "http://[::1]/",
    "xn--e1afmkfd.xn--p1ai/x",
    "пример.рф",
    "دعوة إلى الفريق",
    "צוות הבית (1)",
    "میخواهم",
    "日本語のチーム。テスト",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈",
    "Z̸̛̠a̶͓͝l̵̨̇g̴̫̔o̶̞̓",
    "O'Neill & Sons \"Ltd\"",
    "a\\b\\\\c",
    "--=_019b1d5c7a00700080000000000000b1--",
    "\r\n--=_019b1d5c7a00700080000000000000b1\r\nContent-Type: text/html\r\n\r\n<b>x</b>",
    ".\r\nQUIT",
    "From nobody Thu Jan  1 00:00:00 1970",
    " \t ",
    "\u{202e}\u{200b}",
    "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./",
];

/// Addresses that are legal, and look like something else.
pub const ADDRESSES: &[&str] = &[
    "bob+www.evil.com/x@example.com",
    "//evil.com/x@example.com",
    "www.evil.com?x=y@example.com",
    "{{link}}@example.com",
    "{%x%}@example.com",
    "o'neill&lt@example.com",
    "bob@xn--e1afmkfd.example.com",
    "bøb@example.com",
];

/// Elements that change how what follows them is read, or that lead somewhere.
const ELEMENTS: &[&str] = &[
    "a href=https://evil.com",
    "area",
    "audio src=x",
    "base href=https://evil.com/",
    "body onload=x",
    "button",
    "embed",
    "form action=https://evil.com",
    "frameset",
    "head",
    "html",
    "iframe src=https://evil.com",
    "input autofocus",
    "link rel=stylesheet href=https://evil.com",
    "math",
    "meta charset=utf-7",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "option",
    "p",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "table",
    "td",
    "template",
    "textarea",
    "title",
    "video poster=x",
    "xmp",
];

/// What comes before a place that leads somewhere.
const SCHEMES: &[&str] = &["http", "https", "javascript", "vbscript", "data", "file", "ftp", "mailto", "tel", "sms"];

/// Characters that are not seen, or that reorder what is.
const HIDDEN: &[char] = &[
    '\0',
    '\u{7}',
    '\u{8}',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{115f}',
    '\u{180e}',
    '\u{200b}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202d}',
    '\u{202e}',
    '\u{2060}',
    '\u{2064}',
    '\u{2066}',
    '\u{2069}',
    '\u{206a}',
    '\u{3164}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0001}',
    '\u{e0041}',
];

/// All of them.
pub fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = HOSTILE.iter().map(|&text| text.to_owned()).collect();
    for element in ELEMENTS {
        let name = element.split(' ').next().unwrap();
        texts.push(format!("<{element}>"));
        texts.push(format!("</{name}>"));
    }
    for scheme in SCHEMES {
        texts.push(format!("{scheme}:evil"));
        texts.push(format!("see <{}://evil.com/x>", scheme.to_uppercase()));
        texts.push(format!("\" href=\"{scheme}:evil"));
        texts.push(format!("' style='background: url({scheme}://evil.com/x)"));
    }
    texts.extend(HIDDEN.iter().map(|c| format!("https:{c}//evil{c}.{c}com {c}Bcc: eve@{c}evil.com")));
    texts.push("x".repeat(20_000));
    texts.push("👩‍👩‍👧‍👦".repeat(500));
    texts.push("<b>".repeat(2_000));
    texts.push("\n".repeat(500) + "x");
    texts
}
