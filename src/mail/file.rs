//! The `file` transport: one `.eml` file per mail, for development and for tests.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::future::BoxFuture;
use tokio::task::spawn_blocking;

use super::{MailTransport, Rendered, SendError};

/// Writes each mail as `<mail id>.eml` in a folder, which is made when it is missing.
///
/// A file appears whole or not at all, and the same mail sent again replaces its file. Lines end with LF, as mail kept in
/// files on Unix does, so that `grep` and `sed` find what they look for; everything else is what SMTP would carry. Folder
/// and files are readable by their owner only where the system knows such a thing: they hold links that let a person in.
#[derive(Debug)]
pub struct FileTransport {
    folder: Arc<Path>,
    /// Tells the temporary files of concurrent sends apart.
    attempts: AtomicU64,
}

impl FileTransport {
    /// A transport that writes to `folder`. Nothing is touched before the first mail.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: folder.into(), attempts: AtomicU64::new(0) }
    }
}

impl MailTransport for FileTransport {
    fn send<'a>(&'a self, message: &'a Rendered) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
            let temporary = self.folder.join(format!(".{}.{}.{attempt}", message.id(), process::id()));
            let target = self.folder.join(format!("{}.eml", message.id()));
            let (folder, content) = (Arc::clone(&self.folder), unix_lines(&message.raw()));
            spawn_blocking(move || store(&folder, &temporary, &target, &content))
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(|error| {
                    SendError::transient(format!("cannot write a mail to {}: {error}", self.folder.display()))
                })
        })
    }
}

/// Writes `content` to `temporary`, then moves it to `target`. Leaves nothing behind on failure but the folder.
fn store(folder: &Path, temporary: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    make_folder(folder)?;
    let stored = write_private(temporary, content).and_then(|()| fs::rename(temporary, target));
    if stored.is_err() {
        // Best effort: the first failure is the one to report.
        let _ = fs::remove_file(temporary);
    }
    stored
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// `wire` with its CRLF line ends turned into LF.
fn unix_lines(wire: &[u8]) -> Vec<u8> {
    let ends_line = |at: usize| wire[at] == b'\r' && wire.get(at + 1) == Some(&b'\n');
    (0..wire.len()).filter(|at| !ends_line(*at)).map(|at| wire[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Failure, fixtures::rendered};

    #[tokio::test]
    async fn a_mail_becomes_one_private_file_and_the_folder_is_made() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data/mail");
        let transport = FileTransport::new(folder.clone());
        let mail = rendered();
        transport.send(&mail).await.unwrap();
        transport.send(&mail).await.unwrap();

        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [folder.join(format!("{}.eml", mail.id()))]);
        let content = fs::read(&files[0]).unwrap();
        assert!(!content.contains(&b'\r'));
        assert_eq!(String::from_utf8(content).unwrap().replace('\n', "\r\n").into_bytes(), mail.raw());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[tokio::test]
    async fn concurrent_sends_of_one_mail_leave_one_whole_file() {
        let root = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(root.path().to_owned());
        let mail = rendered();
        for sent in futures::future::join_all((0..20).map(|_| transport.send(&mail))).await {
            sent.unwrap();
        }
        let files: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(files.len(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_transient_and_leaves_no_file() {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error = FileTransport::new(blocked).send(&rendered()).await.unwrap_err();
        assert_eq!(error.kind, Failure::Transient);
        assert!(!error.reason.contains("token"));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
