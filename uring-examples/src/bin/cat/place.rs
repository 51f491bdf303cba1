//! A file, and where in it the next transfer goes.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, Write},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
};

use uring::{Offset, Position};
use uring_examples::{appends, in_background};

/// An open file, and a count of where the next transfer starts.
///
/// The file is told after each transfer, for whoever has the same open file: `(cat a; cat b) > c`.
/// Programs that write to one open file at the same time need it to be opened with `>>`.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) file: File,
    metadata: Metadata,
    /// `None` where only the kernel knows: a file that is appended to goes on wherever its end is.
    position: Option<Position>,
}

impl Place {
    /// A file to read, from where it stands.
    pub(crate) fn input(file: File) -> io::Result<Self> {
        Self::new(file, false)
    }

    /// A file to write to, from where it stands or at its end.
    pub(crate) fn output(file: File) -> io::Result<Self> {
        let appends = appends(&file)?;
        Self::new(file, appends)
    }

    fn new(file: File, appends: bool) -> io::Result<Self> {
        let metadata = file.metadata()?;
        // some files of the kernel, such as trace_pipe, are regular and have no position
        let position = if appends { None } else { Position::of(&file).ok() };
        Ok(Self { file, metadata, position })
    }

    pub(crate) fn offset(&self) -> Offset {
        self.position.as_ref().map_or(Offset::kernel_position(), Offset::from)
    }

    /// The byte at which the next transfer starts, if bytes are counted here.
    fn byte(&self) -> Option<u64> {
        self.position.as_ref().and_then(Position::bytes)
    }

    /// So many bytes were transferred.
    pub(crate) fn moved(&mut self, bytes: usize) -> io::Result<()> {
        let Some(position) = &mut self.position else { return Ok(()) };
        position.advance(bytes);
        position.publish(&self.file)
    }

    /// How much a regular file has from here on, as of its opening.
    pub(crate) fn left(&self) -> u64 {
        let size = if self.metadata.is_file() { self.metadata.len() } else { 0 };
        self.byte().map_or(0, |byte| size.saturating_sub(byte))
    }

    /// Where the next byte is written.
    pub(crate) fn end(&self) -> io::Result<u64> {
        self.byte().map_or_else(|| self.file.metadata().map(|metadata| metadata.len()), Ok)
    }

    /// Whether a transfer may take as long as somebody likes, and the kernel may not find out
    /// before: a terminal that is stopped, a device.
    pub(crate) fn may_block(&self) -> bool {
        self.metadata.file_type().is_char_device()
    }

    /// Whether it is the terminal of another program at the moment: `cat &`. A transfer must then
    /// stop this program (`SIGTTIN`), which a worker thread of the kernel does not do.
    pub(crate) fn is_of_others(&self) -> bool {
        self.may_block() && in_background(&self.file)
    }

    /// `read(2)`, without a ring.
    pub(crate) fn read_plainly(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.byte() {
            Some(byte) => self.file.read_at(buffer, byte),
            None => (&self.file).read(buffer),
        }
    }

    /// `write(2)`, without a ring.
    pub(crate) fn write_plainly(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.byte() {
            Some(byte) => self.file.write_at(bytes, byte),
            None => (&self.file).write(bytes),
        }
    }
}

/// Whether reading the input would read what is being written, without end.
///
/// An input of which nothing is left is harmless: it was empty or read before.
pub(crate) fn is_output(input: &Place, output: &Place) -> io::Result<bool> {
    let [ours, theirs] = [&input.metadata, &output.metadata];
    let same = theirs.is_file() && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino());
    // the input's size is as of now, that of the output is not: it was opened first
    Ok(same && (&input.file).stream_position()? < input.metadata.len())
}
