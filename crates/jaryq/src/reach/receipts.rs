//! Receipts in a file: what relays have signed, to begin with the next time, or to give to others.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use wire::receipt::Receipt;

/// What is read of such a file, in bytes, and how many receipts at most.
const LONGEST: u64 = 4 << 20;
const MOST: usize = 5_000;
/// How many one search adds: nobody needs to be told that everything is open.
const MOST_NEW: usize = 64;

/// The first lines of a new file.
const HEAD: &str = "\
# Receipts: relays sign which port carried traffic, in which network and hour. They name nobody.
# Whoever trusts the same signer can begin with them: jaryq reach BUNDLE --receipts FILE
";

/// A file of them.
#[derive(Debug)]
pub(super) struct Receipts {
    file: PathBuf,
    /// Opened for writing ahead of time, or why it was not.
    opened: Option<io::Result<File>>,
    all: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
}

impl Receipts {
    /// The file for a bundle's receipts, if its user says nothing else.
    pub(super) fn beside(bundle: &Path) -> PathBuf {
        let mut name = bundle.file_name().unwrap_or_default().to_owned();
        name.push(".receipts");
        bundle.with_file_name(name)
    }

    /// Those that are in it; none if there is no such file.
    pub(super) fn read(file: PathBuf) -> anyhow::Result<Self> {
        let shown = file.display().to_string();
        let all = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
            Ok(open) => {
                let mut text = String::new();
                let read = open.take(LONGEST + 1).read_to_string(&mut text);
                let length = read.with_context(|| format!("cannot read {shown}"))?;
                if length as u64 > LONGEST {
                    bail!(
                        "{shown} is longer than {} MiB; is it a file of receipts?",
                        LONGEST >> 20
                    );
                }
                Receipt::find(&text, MOST)
            }
        };
        Ok(Self { file, opened: None, all, new: Vec::new() })
    }

    /// What was in the file.
    pub(super) fn all(&self) -> &[Vec<u8>] {
        &self.all
    }

    /// One more, if it is one more.
    pub(super) fn add(&mut self, receipt: &[u8]) {
        let is_known = |known: &Vec<u8>| known == receipt;
        let is_new = !self.all.iter().chain(&self.new).any(is_known);
        if is_new && self.new.len() < MOST_NEW {
            self.new.push(receipt.to_owned());
        }
    }

    /// Opens the file for [`Self::write`], which may not be allowed to later; it is made if it is not
    /// there.
    pub(super) fn open(&mut self) {
        self.opened = Some(open(&self.file));
    }

    /// Adds what is new to the file; how many those are, and where.
    pub(super) fn write(&mut self) -> anyhow::Result<(usize, &Path)> {
        let Self { file, opened, new, .. } = self;
        if new.is_empty() {
            return Ok((0, file));
        }
        let mut written = || {
            let mut open = opened.take().unwrap_or_else(|| open(file))?;
            let mut text = String::new();
            if open.metadata()?.len() == 0 {
                text.push_str(HEAD);
            }
            for receipt in &*new {
                text.push_str(&Receipt::text(receipt));
                text.push('\n');
            }
            open.write_all(text.as_bytes())
        };
        written().with_context(|| format!("cannot write {}", file.display()))?;
        Ok((new.len(), file))
    }
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_nothing_is_written_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Receipts::beside(&folder.path().join("friends.bundle"));
        assert!(file.ends_with("friends.bundle.receipts"));
        for _ in 0..2 {
            let mut receipts = Receipts::read(file.clone()).expect("no file, or a good one");
            receipts.add(&[1; 150]);
            receipts.add(&[1; 150]);
            receipts.add(&[2; 190]);
            receipts.write().expect("written");
        }
        let read = Receipts::read(file.clone()).expect("a file");
        assert_eq!(read.all(), [vec![1; 150], vec![2; 190]]);
        let text = std::fs::read_to_string(&file).expect("text");
        assert!(text.starts_with("# Receipts") && text.is_ascii());
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_was_opened_ahead_is_written_where_nothing_may_be_opened_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("receipts");
        let mut receipts = Receipts::read(file.clone()).expect("no file");
        receipts.open();
        // As if it had become somebody else's.
        let moved = folder.path().join("moved");
        std::fs::rename(&file, &moved).expect("it is there");
        std::fs::create_dir(&file).expect("nothing has this name");
        receipts.add(&[1; 150]);
        receipts.write().expect("written");
        assert_eq!(Receipts::read(moved).expect("a file").all(), [vec![1; 150]]);
    }

    #[test]
    fn no_search_leaves_more_than_a_few_receipts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut receipts = Receipts::read(folder.path().join("r")).expect("no file");
        (0..200).for_each(|number| receipts.add(&[number; 150]));
        assert_eq!(receipts.write().expect("written").0, MOST_NEW);
    }
}
