//! What caused an error, in words.

use std::error::Error;

/// What caused an error, the nearest cause first. What only repeats the end of what stands before it is left out: wrappers
/// often say no more than what they wrap.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let why = cause.to_string();
        if !told.ends_with(&why) {
            told.clone_from(&why);
            causes.push(why);
        }
        next = cause.source();
    }
    causes
}

/// An error and what caused it, on one line.
pub fn on_one_line(error: &dyn Error) -> String {
    [vec![error.to_string()], causes(error)].concat().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it fails")]
    struct Outer(#[source] Wrapper);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write: {0}")]
    struct Wrapper(#[source] std::fmt::Error);

    #[test]
    fn what_was_said_is_not_repeated() {
        let error = Outer(Wrapper(std::fmt::Error));
        assert_eq!(causes(&error), [format!("cannot write: {}", std::fmt::Error)]);
        assert_eq!(on_one_line(&error), format!("it fails: cannot write: {}", std::fmt::Error));
        assert_eq!(on_one_line(&std::fmt::Error), std::fmt::Error.to_string());
    }
}
