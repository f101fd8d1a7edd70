//! A slice's file: eight bytes that say what it is, then marks of eight bytes each, little-endian.
//! What is not a whole mark at its end was being written when the machine went down.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::memory::SLICE;

/// What the names of all files begin with.
pub const PREFIX: &str = "seen-";
/// What a file begins with. The last byte is the version.
const MAGIC: &[u8; 8] = b"jaryqff1";
const MARK: usize = 8;
/// How long nothing is tried after a failure.
pub(super) const RETRY: Duration = Duration::from_millis(200);
/// How many files a slice may have.
const MOST: u32 = 10_000;

/// Which file of a span it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Name {
    pub slice: u64,
    /// One slice may take several.
    pub number: u32,
}

impl Name {
    pub(super) fn in_span(self, span: &str) -> String {
        format!("{PREFIX}{span}-{}-{}", self.slice, self.number)
    }

    fn parse(file: &str, span: &str) -> Option<Self> {
        let rest = file.strip_prefix(PREFIX)?.strip_prefix(span)?.strip_prefix('-')?;
        let (slice, number) = rest.split_once('-')?;
        Some(Self { slice: slice.parse().ok()?, number: number.parse().ok()? })
    }
}

/// The files of a span that are there.
pub(super) fn names(folder: &Path, span: &str) -> io::Result<Vec<Name>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let name = |entry: &fs::DirEntry| Name::parse(entry.file_name().to_str()?, span);
    Ok(entries.iter().filter_map(name).collect())
}

/// The marks in a file; and the file, unless another process is writing to it.
pub(super) fn read(path: &Path) -> io::Result<(Vec<u64>, Option<Journal>)> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let is_ours = file.try_lock().is_ok();
    let mut bytes = vec![0; MAGIC.len() + SLICE * MARK];
    let mut length = 0;
    loop {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    let (magic, rest) = bytes[..length].split_at_checked(MAGIC.len()).unwrap_or((&[], &[]));
    // Made, and then nothing more.
    let is_empty = length < MAGIC.len();
    if magic != MAGIC && !is_empty {
        let what = format!("{} is not a list of first flights", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let marks: Vec<u64> = rest.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect();
    let journal = is_ours.then(|| Journal {
        path: Some(path.to_path_buf()),
        written: if is_empty { 0 } else { MAGIC.len() + marks.len() * MARK },
        ..Journal::of(Some(Arc::new(file)))
    });
    Ok((marks, journal))
}

/// A file that is being written. It is locked, so that no other process writes to it.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    span: &'static str,
    slice: u64,
    file: Option<Arc<File>>,
    path: Option<PathBuf>,
    /// How many bytes of the file are good.
    written: usize,
    /// What is to be written next.
    pending: Vec<u8>,
    failed: Option<(Instant, io::ErrorKind)>,
    /// Whether something was written since the last flush.
    unflushed: bool,
}

impl Journal {
    fn of(file: Option<Arc<File>>) -> Self {
        let (folder, pending) = (PathBuf::new(), Vec::new());
        let (span, slice, written, unflushed) = ("", 0, 0, false);
        Self { folder, span, slice, file, path: None, written, pending, failed: None, unflushed }
    }

    /// A file that will be made when there is something to write.
    pub(super) fn new(folder: PathBuf, span: &'static str, slice: u64) -> Self {
        Self { folder, span, slice, ..Self::of(None) }
    }

    /// Where it is, once it is there.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes a mark, after those that could not be written before. The file, if a flush is due that
    /// was not before.
    pub(super) fn append(&mut self, mark: u64) -> io::Result<Option<Arc<File>>> {
        self.pending.extend(mark.to_le_bytes());
        if let Some((when, kind)) = self.failed
            && when.elapsed() < RETRY
        {
            return Err(kind.into());
        }
        let written = self.write();
        self.failed = written.as_ref().err().map(|error| (Instant::now(), error.kind()));
        let file = written?;
        let due = !std::mem::replace(&mut self.unflushed, true);
        Ok(due.then_some(file))
    }

    pub(super) fn will_be_flushed(&mut self) {
        self.unflushed = false;
    }

    fn write(&mut self) -> io::Result<Arc<File>> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.make()?,
        };
        if self.written == 0 {
            file.write_all_at(MAGIC, 0)?;
            self.written = MAGIC.len();
        }
        // At its place, so that what was half written before a failure is written over.
        file.write_all_at(&self.pending, self.written as u64)?;
        self.written += self.pending.len();
        self.pending = Vec::new();
        Ok(file)
    }

    fn make(&mut self) -> io::Result<Arc<File>> {
        for number in 0..MOST {
            let path = self.folder.join(Name { slice: self.slice, number }.in_span(self.span));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    file.try_lock().map_err(io::Error::from)?;
                    let file = Arc::new(file);
                    (self.file, self.path) = (Some(Arc::clone(&file)), Some(path));
                    return Ok(file);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}
