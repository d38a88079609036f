//! A certificate authority of a test's own.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// A certificate of 127.0.0.1 with its key, and whom to trust for it; files (PEM) until it is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    /// The authority's own certificate, as DER.
    pub der: Vec<u8>,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When no file can be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What is trusted must not be what a server shows: rustls tells them apart.
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("authority.pem", issuer.pem());
        write("certificate.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
        Self { der: issuer.der().to_vec(), folder }
    }

    /// Whom to trust, as `SSL_CERT_FILE` names it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What a server shows.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The certificate's key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
