//! `If-Match` and `If-None-Match` (RFC 9110, section 13). The entity tag of an order is its version.

/// What a header lists. What is no entity tag matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    List(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    is_weak: bool,
    opaque: String,
}

/// The conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preconditions {
    only: Option<Tags>,
    except: Option<Tags>,
}

impl Preconditions {
    /// Reads the lines of both headers, of which there are none if the header is absent.
    pub fn read(if_match: &[&str], if_none_match: &[&str]) -> Self {
        Self {
            only: tags(if_match),
            except: tags(if_none_match),
        }
    }

    /// Whether the client excludes this tag: a 304 for a read, a 412 for a change.
    pub fn is_known(&self, tag: &str) -> bool {
        self.except.as_ref().is_some_and(|tags| match tags {
            Tags::Any => true,
            Tags::List(tags) => tags.iter().any(|known| known.opaque == tag),
        })
    }

    /// Whether something is to be done only with what has none of some tags.
    pub fn has_exceptions(&self) -> bool {
        self.except.is_some()
    }

    /// The same for an order that was read at a version which is not excluded: it may be changed at
    /// that one only.
    #[must_use]
    pub fn seen_at(self, version: i32) -> Self {
        if self.except.is_none() || self.is_refused(version) {
            return self;
        }
        let opaque = version.to_string();
        let is_weak = false;
        Self {
            only: Some(Tags::List(vec![Tag { is_weak, opaque }])),
            except: None,
        }
    }

    /// Whether the client has named versions, and this is none of them.
    pub fn is_refused(&self, version: i32) -> bool {
        let version = version.to_string();
        self.versions()
            .is_some_and(|versions| !versions.contains(&version))
    }

    /// The versions that may be changed; `None` if any may.
    pub fn versions(&self) -> Option<Vec<String>> {
        match self.only.as_ref()? {
            Tags::Any => None,
            // The comparison is a strong one: a weak tag promises too little.
            Tags::List(tags) => Some(
                tags.iter()
                    .filter(|tag| !tag.is_weak)
                    .map(|tag| tag.opaque.clone())
                    .collect(),
            ),
        }
    }
}

/// What the lines of a header list together; `None` if there is no such header.
fn tags(lines: &[&str]) -> Option<Tags> {
    if lines.is_empty() {
        return None;
    }
    if lines.iter().any(|line| line.trim() == "*") {
        return Some(Tags::Any);
    }
    let mut list = Vec::new();
    for line in lines {
        read_tags(line, &mut list);
    }
    Some(Tags::List(list))
}

/// A comma may stand in a tag, so the line is read tag by tag.
fn read_tags(line: &str, list: &mut Vec<Tag>) {
    let mut line = line.trim();
    while !line.is_empty() {
        let (is_weak, tag) = match line.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, line),
        };
        let quoted = tag.strip_prefix('"').and_then(|tag| tag.split_once('"'));
        let (opaque, behind) = match quoted {
            Some((opaque, behind)) => (Some(opaque), behind),
            None => (None, tag),
        };
        let (between, rest) = behind.split_once(',').unwrap_or((behind, ""));
        if let Some(opaque) = opaque
            && between.trim().is_empty()
        {
            list.push(Tag {
                is_weak,
                opaque: opaque.to_owned(),
            });
        }
        line = rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(only: Option<&str>, except: Option<&str>) -> Preconditions {
        Preconditions::read(only.as_slice(), except.as_slice())
    }

    #[test]
    fn a_strong_tag_of_the_version_lets_it_be_changed() {
        for (value, refused) in [
            (None, false),
            (Some("*"), false),
            (Some("\"7\""), false),
            (Some("\"1\", \"7\""), false),
            (Some("\"a,b\" ,,\t\"7\""), false),
            (Some("W/\"7\""), true),
            (Some("W/\"7\",\"7\""), false),
            (Some("\"07\""), true),
            (Some("\"8\""), true),
            (Some("7"), true),
            (Some("\"7"), true),
            (Some("\"7\"x"), true),
            (Some("\"7\"x, \"7\""), false),
            (Some("*, \"7\""), false),
            (Some("x*"), true),
            (Some(""), true),
        ] {
            assert_eq!(conditions(value, None).is_refused(7), refused, "{value:?}");
        }
    }

    #[test]
    fn any_tag_of_the_version_says_that_it_is_known() {
        for (value, known) in [
            (None, false),
            (Some("*"), true),
            (Some("\"7\""), true),
            (Some("W/\"7\""), true),
            (Some("\"6\", W/\"7\""), true),
            (Some("\"6\""), false),
            (Some("7"), false),
        ] {
            assert_eq!(conditions(None, value).is_known("7"), known, "{value:?}");
        }
    }

    #[test]
    fn what_excludes_versions_changes_the_one_that_was_seen() {
        for (only, except, versions) in [
            (None, None, None),
            (None, Some("\"2\""), Some(vec!["7"])),
            (Some("\"7\", \"8\""), Some("\"2\""), Some(vec!["7"])),
            (Some("\"8\""), Some("\"2\""), Some(vec!["8"])),
            (Some("\"7\", \"8\""), None, Some(vec!["7", "8"])),
        ] {
            let found = conditions(only, except).seen_at(7).versions();
            let versions = versions.map(|it| it.into_iter().map(str::to_owned).collect());
            assert_eq!(found, versions, "{only:?} {except:?}");
        }
    }
}
