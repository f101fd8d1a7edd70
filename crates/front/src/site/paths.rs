//! From the path of a URL to a file, and to none outside of the site.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The parts of a URL's path, decoded; `None` if one of them cannot be a public file's.
pub(super) fn parts(path: &str) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        let part = decode(part)?;
        if !part.is_empty() {
            is_public(&part).then(|| parts.push(part))?;
        }
    }
    Some(parts)
}

/// A URL's path again, from its parts.
pub(super) fn url(parts: &[Vec<u8>]) -> String {
    let mut url = String::new();
    for part in parts {
        url.push('/');
        for &byte in part {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
                url.push(char::from(byte));
            } else {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url
}

/// Where these parts lead below `root`, which has no links in it; `None` when nothing is there, or
/// when a link leads out of it or to what is not public.
pub(super) fn find(root: &Path, parts: &[Vec<u8>]) -> Option<PathBuf> {
    let mut path = root.to_owned();
    path.extend(parts.iter().map(|part| OsStr::from_bytes(part)));
    let path = path.canonicalize().ok()?;
    let mut below = path.strip_prefix(root).ok()?.components();
    below
        .all(|part| match part {
            Component::Normal(name) => is_public(name.as_bytes()),
            _ => false,
        })
        .then_some(path)
}

/// Whether a name is one that visitors may see. `.` and `..` are not: browsers take them away.
fn is_public(name: &[u8]) -> bool {
    (!name.starts_with(b".") || name == b".well-known")
        && !name.iter().any(|&byte| byte == 0 || byte == b'/')
}

fn decode(part: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_path_leads_out_of_the_site() {
        for path in [
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2fb",
            "/..%2fx",
            "/.git/config",
            "/a/.env",
            "/a%00",
            "/%zz",
            "/%2",
            "x",
            "*",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
        let parts = parts("//a/%d0%b6b//c%20d/").expect("a path");
        assert_eq!(parts, [b"a".to_vec(), "жb".into(), b"c d".to_vec()]);
        assert_eq!(url(&parts), "/a/%D0%B6b/c%20d");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_what_is_found_is_below_the_site(path in "(/(\\.|%2[eEfF]|a|%61|b|%00|ж|.){0,4}){0,4}") {
            let home = tempfile::tempdir().expect("a directory");
            let root = home.path().canonicalize().expect("its path").join("a");
            std::fs::create_dir_all(root.join("a/.a")).expect("made");
            std::fs::write(root.join("a/b"), "x").expect("written");
            std::os::unix::fs::symlink("../..", root.join("b")).expect("linked");
            if let Some(parts) = parts(&path) {
                prop_assert_eq!(super::parts(&url(&parts)).unwrap_or_default(), parts.clone());
                if let Some(found) = find(&root, &parts) {
                    prop_assert!(found.starts_with(&root) && !found.ends_with(".a"), "{:?}", found);
                }
            }
        }
    }

    #[test]
    fn links_lead_only_to_what_is_public() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("its path");
        let root = home.join("site");
        std::fs::create_dir_all(root.join(".git")).expect("made");
        for file in ["secret", "site/page", "site/.git/config"] {
            std::fs::write(home.join(file), "x").expect("written");
        }
        for (link, to) in [
            ("out", "../secret"),
            ("absolute", "/etc/passwd"),
            ("hidden", ".git/config"),
            ("up", ".."),
            ("inside", "page"),
        ] {
            std::os::unix::fs::symlink(to, root.join(link)).expect("linked");
        }
        let find = |path| find(&root, &parts(path).expect("a path"));
        for path in ["/out", "/absolute", "/hidden", "/up/secret", "/nothing"] {
            assert_eq!(find(path), None, "{path}");
        }
        assert_eq!(find("/inside"), Some(root.join("page")));
    }
}
