//! What is logged meanwhile, at every level.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, from now until it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    written: Written,
    _guard: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens on this thread, which must be the only one of its runtime.
    pub(crate) fn listen() -> Self {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(written.clone());
        Self {
            written,
            _guard: tracing::subscriber::set_default(log.finish()),
        }
    }

    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        let written = self.written.0.lock();
        let written = written.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(written.clone()).expect("text")
    }

    /// The lines that hold `what`, from there on.
    pub(crate) fn lines(&self, what: &str) -> Vec<String> {
        let text = self.text();
        let lines = text
            .lines()
            .filter_map(|line| Some(&line[line.find(what)?..]));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
