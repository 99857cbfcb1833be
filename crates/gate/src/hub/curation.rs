//! What of its upstreams' offer a hub shows, and under which names: the operator's lists, compiled.
//!
//! Works on the names agents see. What is hidden is hidden in lists and in calls alike.

use crate::settings::Curation;
use std::borrow::Cow;
use std::collections::HashMap;

/// The compiled lists of one kind of thing: tools, prompts or resources.
#[derive(Debug, Default)]
pub(crate) struct Curated {
    include: Vec<Box<str>>,
    exclude: Vec<Box<str>>,
    renamed: HashMap<Box<str>, Box<str>>,
    original: HashMap<Box<str>, Box<str>>,
    described: HashMap<Box<str>, Box<str>>,
}

impl Curated {
    pub(crate) fn new(curation: &Curation) -> Self {
        let globs = |list: &[String]| list.iter().map(|glob| glob.as_str().into()).collect();
        let pair = |(from, to): &(String, String)| (from.as_str().into(), to.as_str().into());
        let swapped = |(from, to): &(String, String)| (to.as_str().into(), from.as_str().into());
        Self {
            include: globs(&curation.include),
            exclude: globs(&curation.exclude),
            renamed: curation.rename.iter().map(pair).collect(),
            original: curation.rename.iter().map(swapped).collect(),
            described: curation.describe.iter().map(pair).collect(),
        }
    }

    /// The name agents see for what would be called `name`; `None` if they do not see it.
    pub(crate) fn show<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        let shown = self.renamed.get(name).map_or(name, |new| &**new);
        self.allows(name, shown).then_some(Cow::Borrowed(shown))
    }

    /// What `shown` would be called without renaming; `None` if agents see nothing of that name.
    pub(crate) fn resolve<'a>(&'a self, shown: &'a str) -> Option<&'a str> {
        let name = match self.original.get(shown) {
            Some(name) => name,
            None if self.renamed.contains_key(shown) => return None,
            None => shown,
        };
        self.allows(name, shown).then_some(name)
    }

    /// The operator's description of what agents see as `shown`.
    pub(crate) fn description(&self, shown: &str) -> Option<&str> {
        self.described.get(shown).map(|text| &**text)
    }

    /// Lists may say the name before or after renaming: an operator who hides a tool under either
    /// must not find it still there.
    fn allows(&self, name: &str, shown: &str) -> bool {
        let any = |globs: &[Box<str>]| {
            globs.iter().any(|glob| matches(glob, shown) || matches(glob, name))
        };
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// Whether `text` fits a glob of `*` (any characters, also none) and `?` (any one).
///
/// Takes at most the product of the two lengths: after a mismatch only the last `*` is tried
/// further on.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, tried)) => {
                    g = at + 1;
                    t = tried + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::{Curated, matches};
    use crate::settings::Curation;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn globs_fit_as_shells_do() {
        for (glob, text, fits) in [
            ("github__*", "github__get", true),
            ("github__*", "gitlab__get", false),
            ("*__get_*", "a__get_b", true),
            ("*a*b", "xaybzb", true),
            ("?", "é", true),
            ("?", "", false),
            ("", "", true),
            ("*", "", true),
            ("a*", "b", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(glob, text), fits, "{glob} {text}");
        }
    }

    #[test]
    fn a_hostile_pair_of_glob_and_name_is_no_work() {
        assert!(!matches(&"*a".repeat(100), &"a".repeat(10_000).replace('a', "ab")));
    }

    #[test]
    fn a_renamed_tool_is_found_under_its_new_name_only() {
        let curated = Curated::new(&Curation {
            rename: vec![("github__search".to_owned(), "find".to_owned())],
            ..Curation::default()
        });
        assert_eq!(curated.show("github__search").as_deref(), Some("find"));
        assert_eq!(curated.resolve("find"), Some("github__search"));
        assert_eq!(curated.resolve("github__search"), None);
        assert_eq!(curated.resolve("github__get"), Some("github__get"));
    }

    #[test]
    fn what_is_excluded_under_either_name_is_gone() {
        for hidden in ["find", "github__*"] {
            let curated = Curated::new(&Curation {
                rename: vec![("github__search".to_owned(), "find".to_owned())],
                exclude: texts(&[hidden]),
                ..Curation::default()
            });
            assert_eq!(curated.show("github__search"), None);
            assert_eq!(curated.resolve("find"), None);
        }
    }
}
