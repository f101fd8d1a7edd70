//! Marks for a time, or as many as fit, whichever is less: in slices, of which the oldest goes whole.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::{self, Journal, Name};

/// How many marks are in a slice at most: 2 MiB of them.
pub(super) const SLICE: usize = 1 << 18;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// What its files are called.
    pub name: &'static str,
    /// How long marks are collected until they may go together, in seconds.
    pub slice: u64,
    /// For how long each is kept at least, in seconds.
    pub window: u64,
    /// How many are kept at least, if so many came within that time; a slice more at most.
    pub most: usize,
}

/// Marks and the files they are in.
pub(super) struct Memory {
    span: Span,
    folder: Option<PathBuf>,
    /// The oldest first.
    past: VecDeque<Past>,
    /// How many marks those have.
    in_past: usize,
    present: Present,
    /// Files that were written to since the last flush.
    pub(super) unflushed: Vec<Arc<File>>,
}

/// A slice to which nothing is added any more.
struct Past {
    number: u64,
    /// Sorted.
    marks: Box<[u64]>,
    file: Option<PathBuf>,
}

struct Present {
    /// Which stretch of time it is, counted in slices since 1970.
    number: u64,
    marks: HashSet<u64>,
    journal: Option<Journal>,
}

impl Memory {
    /// What the files in `folder` tell; as much of it as can be read, and what went wrong.
    pub(super) fn open(span: Span, folder: Option<&Path>, now: u64) -> (Self, io::Result<()>) {
        let number = now / span.slice;
        let present = Present { number, marks: HashSet::new(), journal: None };
        let (past, unflushed) = (VecDeque::new(), Vec::new());
        let folder = folder.map(Path::to_path_buf);
        let mut memory = Self { span, folder, past, in_past: 0, present, unflushed };
        let read = memory.read();
        memory.forget();
        (memory, read)
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let mut names = journal::names(&folder, self.span.name)?;
        names.sort_unstable();
        let mut trouble = Ok(());
        for name in names {
            let path = name.path(&folder, self.span.name);
            match journal::read(&path) {
                Ok((marks, Some(journal)))
                    if name.slice == self.present.number && marks.len() < SLICE =>
                {
                    // What another run of the relay began goes on.
                    self.freeze_present();
                    self.present.marks = marks.into_iter().collect();
                    self.present.journal = Some(journal);
                }
                Ok((marks, _)) => self.add_past(name.slice, marks, Some(path)),
                Err(error) => trouble = Err(error),
            }
        }
        trouble
    }

    /// Whether a mark is new, which it is not from then on; and whether that was written down.
    pub(super) fn is_new(&mut self, mark: u64, now: u64) -> (bool, io::Result<()>) {
        let number = now / self.span.slice;
        if number != self.present.number || self.present.marks.len() >= SLICE {
            self.freeze_present();
            self.present.number = number;
            self.forget();
        }
        if self.present.marks.contains(&mark)
            || self.past.iter().any(|past| past.marks.binary_search(&mark).is_ok())
        {
            return (false, Ok(()));
        }
        self.present.marks.insert(mark);
        (true, self.write(mark))
    }

    fn write(&mut self, mark: u64) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let (name, slice) = (self.span.name, self.present.number);
        let journal =
            self.present.journal.get_or_insert_with(|| Journal::new(folder.clone(), name, slice));
        if let Some(file) = journal.append(mark)? {
            self.unflushed.push(file);
        }
        Ok(())
    }

    /// The files that were written to since this was last asked.
    pub(super) fn unflushed(&mut self) -> Vec<Arc<File>> {
        if let Some(journal) = &mut self.present.journal {
            journal.will_be_flushed();
        }
        std::mem::take(&mut self.unflushed)
    }

    fn freeze_present(&mut self) {
        let marks = std::mem::take(&mut self.present.marks);
        let journal = self.present.journal.take();
        if !marks.is_empty() {
            let file = journal.and_then(|journal| journal.path().map(Path::to_path_buf));
            self.add_past(self.present.number, marks.into_iter().collect(), file);
        }
    }

    fn add_past(&mut self, number: u64, mut marks: Vec<u64>, file: Option<PathBuf>) {
        marks.sort_unstable();
        self.in_past += marks.len();
        self.past.push_back(Past { number, marks: marks.into_boxed_slice(), file });
    }

    /// Forgets slices that are too old or too many, and removes their files.
    fn forget(&mut self) {
        let (span, present) = (self.span, self.present.number);
        let in_present = self.present.marks.len();
        let kept = span.window.div_ceil(span.slice);
        while let Some(oldest) = self.past.front() {
            let is_old = oldest.number + kept < present;
            if !is_old && self.in_past - oldest.marks.len() + in_present < span.most {
                break;
            }
            self.in_past -= oldest.marks.len();
            // A file that cannot be removed is read again at the next start, and then removed.
            let gone = self.past.pop_front().and_then(|oldest| oldest.file);
            gone.map(std::fs::remove_file);
        }
    }
}

impl Name {
    fn path(self, folder: &Path, span: &str) -> PathBuf {
        folder.join(self.in_span(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const SPAN: Span = Span { name: "test", slice: 10, window: 30, most: 3 * SLICE };

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn open(folder: &Path, now: u64) -> Memory {
        let (memory, read) = Memory::open(SPAN, Some(folder), now);
        read.expect("readable");
        memory
    }

    fn is_new(memory: &mut Memory, mark: u64, now: u64) -> bool {
        let (is_new, written) = memory.is_new(mark, now);
        written.expect("written");
        is_new
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn what_was_seen_is_known_for_the_whole_window_also_after_an_end_without_a_warning() {
        let folder = folder();
        let mut memory = open(folder.path(), 1000);
        assert!(is_new(&mut memory, 1, 1000));
        assert!(!is_new(&mut memory, 1, 1001));
        assert!(is_new(&mut memory, 2, 1009));
        assert!(is_new(&mut memory, 3, 1010));
        // Nothing is done at its end, as after kill -9.
        std::mem::forget(memory);
        for now in [1011, 1025, 1030, 1039] {
            let mut memory = open(folder.path(), now);
            for mark in [1, 2, 3] {
                assert!(!is_new(&mut memory, mark, now), "{mark} at {now}");
            }
        }
        let mut memory = open(folder.path(), 1050);
        assert!(is_new(&mut memory, 1, 1050), "after the window it is forgotten");
        assert_eq!(files(folder.path()).len(), 1, "and so are its files");
    }

    #[test]
    fn a_run_goes_on_where_the_last_one_stopped_and_only_its_owner_can_read_it() {
        let folder = folder();
        for mark in 0..50 {
            assert!(is_new(&mut open(folder.path(), 1000), mark, 1000));
        }
        let files = files(folder.path());
        assert_eq!(files.len(), 1);
        let found = fs::metadata(&files[0]).expect("a file");
        assert_eq!((found.permissions().mode() & 0o777, found.len()), (0o600, 8 + 50 * 8));
    }

    #[test]
    fn two_relays_on_one_folder_do_not_harm_each_other() {
        let folder = folder();
        let (mut one, mut other) = (open(folder.path(), 1000), open(folder.path(), 1000));
        for mark in 0..10 {
            assert!(is_new(&mut one, 2 * mark, 1000));
            assert!(is_new(&mut other, 2 * mark + 1, 1000));
        }
        let mut third = open(folder.path(), 1001);
        assert!((0..20).all(|mark| !is_new(&mut third, mark, 1001)));
        assert!(is_new(&mut third, 20, 1001));
    }

    #[test]
    fn a_damaged_end_costs_no_more_than_itself() {
        let folder = folder();
        let mut memory = open(folder.path(), 1000);
        assert!((0..10).all(|mark| is_new(&mut memory, mark, 1000)));
        drop(memory);
        let file = &files(folder.path())[0];
        let length = fs::metadata(file).expect("a file").len();
        fs::OpenOptions::new()
            .write(true)
            .open(file)
            .expect("ours")
            .set_len(length - 3)
            .expect("cut");
        let mut memory = open(folder.path(), 1001);
        assert!((0..9).all(|mark| !is_new(&mut memory, mark, 1001)));
        assert!(is_new(&mut memory, 9, 1001));
        drop(memory);
        assert!(!is_new(&mut open(folder.path(), 1001), 9, 1001));
    }

    #[test]
    fn a_file_of_another_kind_is_left_alone() {
        let folder = folder();
        let foreign = folder.path().join("seen-test-100-0");
        fs::write(&foreign, "of a later version").expect("written");
        let (mut memory, read) = Memory::open(SPAN, Some(folder.path()), 1000);
        assert!(read.is_err());
        assert!(is_new(&mut memory, 1, 1000));
        assert!(!is_new(&mut Memory::open(SPAN, Some(folder.path()), 1000).0, 1, 1000));
        assert_eq!(fs::read(&foreign).expect("there"), b"of a later version");
    }

    #[test]
    fn where_nothing_can_be_written_the_memory_goes_on_and_catches_up_later() {
        let parent = folder();
        let folder = parent.path().join("not there yet");
        let (mut memory, read) = Memory::open(SPAN, Some(&folder), 1000);
        assert!(read.is_err());
        for mark in 0..10 {
            let (is_new, written) = memory.is_new(mark, 1000);
            assert!(is_new && written.is_err());
        }
        assert!(!is_new(&mut memory, 0, 1001));
        fs::create_dir(&folder).expect("now it is");
        std::thread::sleep(journal::RETRY);
        assert!(is_new(&mut memory, 10, 1001));
        drop(memory);
        let mut memory = open(&folder, 1002);
        assert!((0..=10).all(|mark| !is_new(&mut memory, mark, 1002)));
    }

    #[test]
    fn as_many_are_kept_as_there_should_be_and_not_many_more() {
        let span = Span { window: 10_000, ..SPAN };
        let (mut memory, read) = Memory::open(span, None, 0);
        read.expect("nothing to read");
        let many = 5 * SLICE as u64;
        // Spread as real marks are.
        let mark = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert!((0..many).all(|n| is_new(&mut memory, mark(n), 0)));
        let kept = many - span.most as u64;
        assert!((kept..many).all(|n| !is_new(&mut memory, mark(n), 0)));
        assert!(memory.in_past <= span.most + SLICE);
        assert!(is_new(&mut memory, mark(0), 0), "the oldest is forgotten");
    }
}
