//! A document of HTML, read as a browser reads it.

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink as _};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// What a document is, and what it says.
#[derive(Default)]
pub struct Document {
    /// Every element with its attributes, every comment, and where each ends; no text.
    pub shape: Vec<String>,
    /// Every `href` and `src`.
    pub places: Vec<String>,
    /// All that is written outside of style sheets.
    pub text: String,
    /// How many lines there are in the quotation.
    pub lines_of_message: usize,
}

impl Document {
    pub fn parse(html: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
        let mut document = Self::default();
        document.visit(&dom.document, false);
        document
    }

    fn visit(&mut self, node: &Handle, quoted: bool) {
        let mut quoted = quoted;
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let element = name.local.to_string();
                if element == "style" {
                    return self.shape.push("<style>".to_owned());
                }
                self.lines_of_message += usize::from(element == "blockquote") + usize::from(quoted && element == "br");
                quoted |= element == "blockquote";
                let mut attributes = Vec::new();
                for attribute in attrs.borrow().iter() {
                    let (name, value) = (attribute.name.local.to_string(), attribute.value.to_string());
                    if matches!(name.as_str(), "href" | "src") {
                        self.places.push(value.clone());
                    }
                    attributes.push(format!("{name}={value:?}"));
                }
                self.shape.push(format!("<{element} {}>", attributes.join(" ")));
            }
            NodeData::Comment { contents } => self.shape.push(format!("<!--{contents}-->")),
            NodeData::Doctype { name, .. } => self.shape.push(format!("<!DOCTYPE {name}>")),
            NodeData::Text { contents } => {
                self.text.push_str(&contents.borrow());
            }
            NodeData::Document | NodeData::ProcessingInstruction { .. } => {}
        }
        // A client sees the words of two blocks apart.
        if matches!(node.data, NodeData::Element { .. }) {
            self.text.push('\n');
        }
        for child in node.children.borrow().iter() {
            self.visit(child, quoted);
        }
        if matches!(node.data, NodeData::Element { .. }) {
            self.shape.push("<end>".to_owned());
            self.text.push('\n');
        }
    }
}
