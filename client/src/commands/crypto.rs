//! `ledgercast crypto`: CAs, members' homes, and what a certificate says.

use super::output::moment;
use super::session::wall_time;
use super::{Exit, Failure, Output};
use crate::authority::{LOCAL_NAMES, Member, OrgAuthority};
use crate::text_file::{self, TEXT_BYTES_MAX};
use clap::{Args, Subcommand};
use ledgercast_crypto::msp::{self, MspError};
use ledgercast_crypto::{Certificate, RevocationList, Role, Roster};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Work with an org's CAs
    #[command(subcommand)]
    Ca(CaVerb),
    /// Draw a member's keys, certify them, and write its msp/ and tls/
    Enrol(Enrol),
    /// Certify a member's key anew: the same member, valid for longer; a running peer takes it up
    Renew(Renew),
    /// Revoke certificates: write the org's next revocation list
    Revoke(Revoke),
    /// Show what certificates or revocation lists say, and whether an org's CAs accept a certificate
    Inspect(Inspect),
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    /// Folder that `crypto ca create` wrote
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The member's home; its certificates are replaced, its keys stay. A running process takes up the
    /// member's certificate by itself, and that of its TLS pair with its next start
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// How long the certificate is valid
    #[arg(long, default_value_t = 365)]
    days: u64,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Folder that `crypto ca create` wrote; its msp/crls/crl.pem names all certificates revoked so far
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// PEM files of the certificates to revoke; none: the list is made anew for more days
    files: Vec<PathBuf>,
    /// Days after which the next list is due; lists stay in force for longer
    #[arg(long, default_value_t = 30)]
    days: u64,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A PEM file of members' or CAs' certificates, or of revocation lists
    file: PathBuf,
    /// Judge the first certificate, with the intermediates behind it, by the CAs and lists of this folder
    #[arg(long, value_name = "DIR")]
    msp: Option<PathBuf>,
    /// With --msp: the role that it must have: peer, orderer, client or admin
    #[arg(long, requires = "msp")]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
pub(super) enum CaVerb {
    /// Create an org's CA, its TLS CA, and the folder of its public files
    Create {
        /// The org's name, the O of its members' certificates
        #[arg(long)]
        org: String,
        /// Where to write; existing files are not overwritten
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long the CAs are valid
        #[arg(long, default_value_t = 3650)]
        days: u64,
    },
}

#[derive(Debug, Args)]
pub(super) struct Enrol {
    /// Folder that `crypto ca create` wrote
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The member's common name
    #[arg(long)]
    name: String,
    /// What it may be: peer, orderer, client or admin
    #[arg(long)]
    role: Role,
    /// A unit (OU) beside the role's, as channels name them for who may read and write
    #[arg(long)]
    unit: Option<String>,
    /// A DNS name or IP address of its TLS certificate; may be given several times [default: this machine's
    /// local names]
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// The member's home; existing files are not overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the certificates are valid
    #[arg(long, default_value_t = 365)]
    days: u64,
}

pub(super) fn run(verb: Verb, output: &mut Output) -> Result<(), Failure> {
    match verb {
        Verb::Ca(CaVerb::Create { org, out, days }) => {
            let authority = OrgAuthority::create(&out, &org, wall_time(), days)?;
            let fingerprint = authority.root().fingerprint().to_string();
            let value = json!({ "org": org, "folder": out, "fingerprint": fingerprint });
            output.line(&value, || format!("CA of {org} in {}, fingerprint {fingerprint}", out.display()))
        }
        Verb::Enrol(enrol) => run_enrol(&enrol, output),
        Verb::Renew(renew) => run_renew(&renew, output),
        Verb::Revoke(revoke) => run_revoke(&revoke, output),
        Verb::Inspect(inspect) => run_inspect(&inspect, output),
    }
}

fn run_renew(renew: &Renew, output: &mut Output) -> Result<(), Failure> {
    let (renewed, is_tls) = OrgAuthority::load(&renew.ca)?.renew(&renew.home, wall_time(), renew.days)?;
    let until = moment(renewed.not_after() * 1000);
    let value = json!({
        "common_name": renewed.common_name(),
        "home": renew.home,
        "not_after": until,
        "fingerprint": renewed.fingerprint().to_string(),
        "tls_renewed": is_tls,
    });
    let tls = match is_tls {
        true => "its TLS pair too, which a running process takes up when it is started again",
        false => "its TLS pair is of another CA and stays",
    };
    output.line(&value, || {
        format!("{} in {} is certified until {until}; {tls}", renewed.subject(), renew.home.display())
    })
}

fn run_revoke(revoke: &Revoke, output: &mut Output) -> Result<(), Failure> {
    let mut certificates = Vec::new();
    for file in &revoke.files {
        certificates.extend(certificates_of(file)?.into_iter().take(1));
    }
    let authority = OrgAuthority::load(&revoke.ca)?;
    let (list, file) = authority.revoke(&certificates, wall_time(), revoke.days)?;
    let value = json!({
        "issuer": list.issuer(),
        "number": list.number().to_string(),
        "revoked": list.revoked_count(),
        "file": file,
    });
    output.line(&value, || {
        format!(
            "list {} of {:?} revokes {} in all; copy {} into msp/crls/ of one running peer of the org, and \
             into crls/ of each orderer",
            list.number(),
            list.issuer(),
            list.revoked_count(),
            file.display()
        )
    })
}

fn refused(file: &Path, error: &dyn std::fmt::Display, cure: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{}: {error}", file.display())).cure(cure)
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let bytes = text_file::read(file, TEXT_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|error| refused(file, &error, "give PEM"))
}

fn certificates_of(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let certificates = Certificate::all_from_pem(&text_of(file)?);
    let certificates = certificates.map_err(|error| refused(file, &error, error.cure()))?;
    match certificates.is_empty() {
        true => Err(refused(file, &"no certificate in it", "give PEM of Ed25519 certificates")),
        false => Ok(certificates),
    }
}

fn run_inspect(inspect: &Inspect, output: &mut Output) -> Result<(), Failure> {
    let text = text_of(&inspect.file)?;
    if text.contains("BEGIN X509 CRL") {
        let lists = RevocationList::all_from_pem(&text);
        let lists = lists.map_err(|error| refused(&inspect.file, &error, "give a complete Ed25519 list"))?;
        return lists.iter().try_for_each(|list| show_list(list, output));
    }
    let certificates = certificates_of(&inspect.file)?;
    certificates.iter().try_for_each(|certificate| show(certificate, output))?;
    match (&inspect.msp, certificates.split_first()) {
        (Some(msp), Some((certificate, chain))) => judge(inspect, msp, certificate, chain, output),
        _ => Ok(()),
    }
}

/// What an org's CAs say of a certificate: who it is, or the reason and the cure as a failure.
fn judge(
    inspect: &Inspect,
    msp: &Path,
    certificate: &Certificate,
    chain: &[Certificate],
    output: &mut Output,
) -> Result<(), Failure> {
    let org = msp::load_roots(msp, certificate.org())?;
    let roster = Roster::try_new([org]).map_err(MspError::Roots)?;
    let identity = roster.verify(certificate, chain, wall_time().as_seconds()).and_then(|identity| {
        inspect.role.map_or(Ok(()), |role| identity.require_role(role))?;
        Ok(identity)
    });
    let identity = identity.map_err(|error| refused(&inspect.file, &error, error.cure()))?;
    let until = moment(identity.valid_until * 1000);
    let value = json!({
        "verdict": "accepted",
        "member": identity.member.to_string(),
        "org_id": identity.org.to_string(),
        "role": identity.role.unit(),
        "valid_until": until,
    });
    output.line(&value, || {
        format!(
            "accepted     member {}, {} of {}, until {until}",
            identity.member, identity.role, identity.org_name
        )
    })
}

fn show_list(list: &RevocationList, output: &mut Output) -> Result<(), Failure> {
    let hex = |serial: &[u8]| serial.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let serials: Vec<String> = list.serials().map(hex).collect();
    let value = json!({
        "kind": "revocation list",
        "issuer": list.issuer(),
        "number": list.number().to_string(),
        "revoked": serials,
        "fingerprint": list.fingerprint().to_string(),
    });
    output.line(&value, || {
        format!(
            "kind         revocation list {}\nissuer       {}\nrevoked      {}",
            list.number(),
            list.issuer(),
            if serials.is_empty() { "nobody".to_owned() } else { serials.join(" ") },
        )
    })
}

fn run_enrol(enrol: &Enrol, output: &mut Output) -> Result<(), Failure> {
    let authority = OrgAuthority::load(&enrol.ca)?;
    let hosts: Vec<&str> = match enrol.hosts.is_empty() {
        true => LOCAL_NAMES.to_vec(),
        false => enrol.hosts.iter().map(String::as_str).collect(),
    };
    let unit = enrol.unit.as_deref();
    let member = Member { name: &enrol.name, role: enrol.role, unit, hosts: &hosts, days: enrol.days };
    let id = authority.enrol(&enrol.out, member, wall_time())?;
    let value = json!({
        "member": id.to_string(),
        "name": enrol.name,
        "org": authority.org(),
        "role": enrol.role.unit(),
        "home": enrol.out,
    });
    output.line(&value, || {
        format!(
            "{} {} of {} in {}, member {id}",
            enrol.role,
            enrol.name,
            authority.org(),
            enrol.out.display()
        )
    })
}

fn show(certificate: &Certificate, output: &mut Output) -> Result<(), Failure> {
    let kind = if certificate.is_ca() { "ca" } else { "member" };
    let validity = certificate.check_validity(wall_time().as_seconds());
    let state = validity.as_ref().map_or_else(ToString::to_string, |()| "valid in time".to_owned());
    let (from, until) = (moment(certificate.not_before() * 1000), moment(certificate.not_after() * 1000));
    let role = certificate.role().map(|role| role.unit());
    let value = json!({
        "kind": kind,
        "common_name": certificate.common_name(),
        "org": certificate.org(),
        "units": certificate.ous(),
        "role": role,
        "issuer": certificate.issuer(),
        "not_before": from,
        "not_after": until,
        "is_valid_in_time": validity.is_ok(),
        "key": certificate.public_key().to_string(),
        "fingerprint": certificate.fingerprint().to_string(),
    });
    output.line(&value, || {
        format!(
            "subject      {}\nkind         {kind}{}\nissuer       {}\n\
             valid        {from} to {until}: {state}\n\
             key          {}\nfingerprint  {}",
            certificate.subject(),
            role.map_or_else(String::new, |role| format!(", role {role}")),
            certificate.issuer(),
            certificate.public_key(),
            certificate.fingerprint(),
        )
    })
}
