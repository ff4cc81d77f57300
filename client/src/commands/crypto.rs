//! `ledgercast crypto`: CAs, members' homes, and what a certificate says.

use super::output::moment;
use super::session::wall_time;
use super::{Exit, Failure, Output};
use crate::authority::{LOCAL_NAMES, Member, OrgAuthority};
use crate::text_file::{self, TEXT_BYTES_MAX};
use clap::{Args, Subcommand};
use ledgercast_crypto::{Certificate, Role};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Work with an org's CAs
    #[command(subcommand)]
    Ca(CaVerb),
    /// Draw a member's keys, certify them, and write its msp/ and tls/
    Enrol(Enrol),
    /// Show what the certificates of a PEM file say
    Inspect {
        /// A PEM file of members' or CAs' certificates
        file: PathBuf,
    },
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
        Verb::Inspect { file } => {
            let bytes = text_file::read(&file, TEXT_BYTES_MAX)?;
            let named = |error: &dyn std::fmt::Display| {
                Failure::new(Exit::Usage, format!("{}: {error}", file.display()))
                    .cure("give PEM of Ed25519 certificates; TLS pairs are ECDSA: openssl x509 shows those")
            };
            let text = String::from_utf8(bytes).map_err(|error| named(&error))?;
            let certificates = Certificate::all_from_pem(&text).map_err(|error| named(&error))?;
            certificates.iter().try_for_each(|certificate| show(certificate, output))
        }
    }
}

fn run_enrol(enrol: &Enrol, output: &mut Output) -> Result<(), Failure> {
    let authority = OrgAuthority::load(&enrol.ca)?;
    let hosts: Vec<&str> = match enrol.hosts.is_empty() {
        true => LOCAL_NAMES.to_vec(),
        false => enrol.hosts.iter().map(String::as_str).collect(),
    };
    let member = Member { name: &enrol.name, role: enrol.role, hosts: &hosts, days: enrol.days };
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
