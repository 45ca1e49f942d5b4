//! The API as its descriptors tell it.

use std::sync::LazyLock;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor, MessageDescriptor, MethodDescriptor, Value,
    prost_types::{FileDescriptorProto, method_options::IdempotencyLevel},
};

/// Everything that is published, with options and comments.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(roster_proto::DESCRIPTORS).expect("the descriptors can be read"));

/// The RPCs of the API.
pub static RPCS: LazyLock<Vec<Rpc>> = LazyLock::new(|| {
    let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let rpcs: Vec<Rpc> = methods.map(Rpc::new).collect();
    assert!(rpcs.len() > 20, "only {} RPCs were found", rpcs.len());
    rpcs
});

/// An RPC and what is declared of it.
pub struct Rpc {
    pub name: String,
    pub service: String,
    pub input: MessageDescriptor,
    pub output: MessageDescriptor,
    pub comment: String,
    /// `None` where nothing is declared, which is not the same as `IDEMPOTENCY_UNKNOWN`.
    pub idempotency: Option<IdempotencyLevel>,
    pub permission: Option<String>,
    /// Its HTTP rule and the additional bindings.
    pub http: Vec<HttpRule>,
}

/// One way to reach an RPC over HTTP.
pub struct HttpRule {
    pub method: String,
    pub path: String,
    pub body: String,
}

impl Rpc {
    fn new(method: MethodDescriptor) -> Self {
        let declared = method.method_descriptor_proto().options.as_ref();
        let level = declared.and_then(|options| options.idempotency_level);
        let options = method.options();
        let option = |name: &str| declared_option(&options, &extension(name));
        Self {
            name: method.name().to_owned(),
            service: method.parent_service().full_name().to_owned(),
            input: method.input(),
            output: method.output(),
            comment: comment(method.parent_file().file_descriptor_proto(), method.path()),
            idempotency: level.map(|level| level.try_into().unwrap()),
            permission: option("roster.options.v1.required_permission").map(|value| value.as_str().unwrap().to_owned()),
            http: option("google.api.http").iter().flat_map(|value| rules(value.as_message().unwrap())).collect(),
        }
    }

    /// Whether it changes nothing.
    pub fn reads(&self) -> bool {
        self.idempotency == Some(IdempotencyLevel::NoSideEffects)
    }

    /// What follows a phrase in its comment, up to the end of the sentence.
    pub fn sentence(&self, phrase: &str) -> Option<String> {
        let comment = self.comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, rest) = comment.split_once(phrase)?;
        let end = rest.find(". ").unwrap_or_else(|| rest.trim_end_matches('.').len());
        Some(rest[..end].to_owned())
    }
}

/// The option with this name.
fn extension(name: &str) -> ExtensionDescriptor {
    POOL.get_extension_by_name(name).unwrap_or_else(|| panic!("there is no option {name}"))
}

fn declared_option(options: &DynamicMessage, option: &ExtensionDescriptor) -> Option<Value> {
    options.has_extension(option).then(|| options.get_extension(option).into_owned())
}

fn rules(rule: &DynamicMessage) -> Vec<HttpRule> {
    let text = |name: &str| rule.get_field_by_name(name).unwrap().as_str().unwrap().to_owned();
    let methods = ["get", "put", "post", "delete", "patch"];
    let bound = methods.iter().filter(|method| rule.has_field_by_name(method));
    let own = bound.map(|method| HttpRule { method: (*method).to_owned(), path: text(method), body: text("body") });
    let more = rule.get_field_by_name("additional_bindings").unwrap();
    let more: Vec<HttpRule> =
        more.as_list().unwrap().iter().flat_map(|rule| rules(rule.as_message().unwrap())).collect();
    own.chain(more).collect()
}

/// The comment that stands before a declaration; empty when there is none.
pub fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let places = file.source_code_info.as_ref().expect("comments are kept").location.iter();
    let found = places.filter(|place| place.path == path).find_map(|place| place.leading_comments.clone());
    found.unwrap_or_default().trim().to_owned()
}

/// Our own messages, without those that stand for the entries of a map.
pub fn messages() -> impl Iterator<Item = MessageDescriptor> {
    POOL.all_messages().filter(|message| is_ours(message.package_name()) && !message.is_map_entry())
}

/// Our own enums.
pub fn enums() -> impl Iterator<Item = EnumDescriptor> {
    POOL.all_enums().filter(|found| is_ours(found.package_name()))
}

/// Whether a package is ours: everything but the types that come with protobuf. `google.api` is our declaration of
/// somebody else's interface.
pub fn is_ours(package: &str) -> bool {
    package.starts_with("roster.")
}
