//! Lists of names of hosts.

/// Some names, and all that are below them.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_ascii_lowercase).collect())
    }

    /// Whether a name is one of them, or below one of them.
    pub(super) fn cover(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.0.iter().any(|listed| {
            name.strip_suffix(listed).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_what_is_below_it_and_not_what_ends_alike() {
        let names = Names::new(["Example.org"]);
        assert!(names.cover("example.org") && names.cover("WWW.example.org"));
        assert!(!names.cover("anexample.org") && !names.cover("org") && !names.cover(""));
    }
}
