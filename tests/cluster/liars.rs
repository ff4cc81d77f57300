//! One peer of a network of real processes breaks the rules (`tests/liar`); the others say so, go on, and
//! accuse nobody else.

use crate::{DEADLINE, Network, plan};
use ledgercast_client::testnet::Plan;
use ledgercast_tests::binaries::build_liar;
use ledgercast_tests::cluster::Cluster;
use ledgercast_tests::process::Process;
use ledgercast_tests::wait::wait_for;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Members are silent for a fifth of the usual time when they are evicted, and a flood is one sooner.
const FAST: [(&str, &str); 10] = [
    ("LEDGERCAST_MEMBERSHIP_ALIVE_INTERVAL", "1s"),
    ("LEDGERCAST_MEMBERSHIP_EXPIRY", "5s"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_AFTER", "4500ms"),
    ("LEDGERCAST_MEMBERSHIP_QUESTION_TIMEOUT", "500ms"),
    ("LEDGERCAST_MEMBERSHIP_AWAKE_TICK", "200ms"),
    ("LEDGERCAST_MEMBERSHIP_AWAKE_LATENESS_MAX", "400ms"),
    ("LEDGERCAST_SESSION_MESSAGES_PER_SECOND", "500"),
    ("LEDGERCAST_SESSION_RATE_BURST_SECONDS", "2"),
    ("LEDGERCAST_SESSION_EXCESS_MAX", "2s"),
    ("LEDGERCAST_LOG_FORMAT", "json"),
];

/// Alives in two expiries.
const ALIVES: usize = 10;

/// A network in which a liar has taken the place of one peer.
struct Infiltrated {
    network: Network,
    name: &'static str,
    liar: Process,
    report: PathBuf,
}

impl Infiltrated {
    /// Starts everybody, then the liar in place of the peer of that name.
    fn start(plan: &Plan, name: &'static str, crime: &str, foreign: Option<&str>) -> Self {
        Self::start_with(plan, name, crime, foreign, |_| Vec::new())
    }

    /// The same, with further arguments for the liar.
    fn start_with(
        plan: &Plan,
        name: &'static str,
        crime: &str,
        foreign: Option<&str>,
        further: impl Fn(&Cluster) -> Vec<PathBuf>,
    ) -> Self {
        let program = build_liar().expect("the liar is built");
        let mut network = Network::write_plan(plan, &FAST);
        network.cluster.start_all().expect("the network starts");
        for channel in network.cluster.summary().channels.clone() {
            let peers = network.cluster.peers_on(&channel.name);
            network.cluster.wait_for_members(&peers, DEADLINE).expect("full membership");
        }
        network.cluster.stop(name).expect("it makes room for the liar");
        let report = network.cluster.folder().join("liar.log");
        let mut command = Command::new(program);
        command.arg("--home").arg(&network.cluster.node(name).home).args(["--crime", crime]).envs(FAST);
        command.args(further(&network.cluster));
        let org = network.cluster.node(name).org.clone();
        for channel in &network.cluster.summary().channels {
            if channel.orgs.contains(&org) {
                command.arg("--join").arg(&channel.genesis);
            } else if foreign == Some(channel.name.as_str()) {
                command.arg("--foreign").arg(&channel.genesis);
            }
        }
        let liar = Process::start("the liar", command, &report).expect("it starts");
        Self { network, name, liar, report }
    }

    fn honest(&self) -> Vec<String> {
        self.network.cluster.peers().into_iter().filter(|peer| peer != self.name).collect()
    }

    /// What the liar last said of itself.
    fn report(&self) -> Result<Value, String> {
        let text = std::fs::read_to_string(&self.report).map_err(|error| error.to_string())?;
        let last = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        last.ok_or_else(|| format!("it has said nothing yet: {text:?}"))
    }

    /// Waits until the liar's report has something.
    fn wait_for_report(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, DEADLINE, || {
            let report = self.report()?;
            if condition(&report) { Ok(report) } else { Err(report.to_string()) }
        });
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A counter of a peer; what never happened has no value.
    fn counted(&self, peer: &str, metric: &str, reason: &str) -> Result<f64, String> {
        let operations = self.network.cluster.operations(peer);
        Ok(operations.metric_if_any(metric, &[("reason", reason)])?.unwrap_or(0.0))
    }

    /// Waits until each of these peers has counted something of a kind at least `least` times.
    fn wait_until_counted(&self, peers: &[String], metric: &str, reason: &str, least: f64) {
        for peer in peers {
            wait_for(&format!("{peer} to count {reason}"), DEADLINE, || {
                let counted = self.counted(peer, metric, reason)?;
                if counted >= least { Ok(()) } else { Err(format!("{counted} of {metric}")) }
            })
            .unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// The blames in the honest peers' logs: who, whom, for what.
    fn offences(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |peer: String| {
            let log = std::fs::read_to_string(self.network.cluster.log(&peer)).expect("a log");
            let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            lines
                .into_iter()
                .filter(|line| line["message"] == "offence")
                .map(move |line| (peer.clone(), text(&line["peer"]), text(&line["offence"])))
        };
        self.honest().into_iter().flat_map(of).collect()
    }

    /// Everybody honest goes on: a block more reaches all of them on each channel, nobody honest was ever
    /// evicted or blamed.
    fn assert_the_honest_go_on(&self) {
        let cluster = &self.network.cluster;
        let input = cluster.folder().join("after.txt");
        std::fs::write(&input, "after\n").expect("write");
        for channel in &cluster.summary().channels {
            let honest: Vec<String> =
                cluster.peers_on(&channel.name).into_iter().filter(|peer| peer != self.name).collect();
            let height = cluster.height(cluster.orderer(), &channel.name).expect("it answers");
            let client = cluster.user(&channel.orgs[0], "client");
            let input = input.display().to_string();
            client.json_lines(&["submit", &channel.name, "--lines", "--wait", &input]).expect("accepted");
            cluster.wait_for_height(&honest, &channel.name, height + 1, DEADLINE).expect("all have it");
        }
        let short = cluster.node(self.name).member[..8].to_owned();
        for (peer, blamed, offence) in self.offences() {
            assert_eq!(blamed, short, "{peer} blames an honest member: {offence}");
        }
        for peer in self.honest() {
            let evicted = crate::silence::evictions(&cluster.log(&peer));
            assert!(evicted.iter().all(|(whom, _)| *whom == short), "{peer} evicted others: {evicted:?}");
        }
    }
}

/// R1, A19
#[test]
fn malformed_frames_end_their_session_and_are_blamed_on_their_sender() {
    let mut scene = Infiltrated::start(&plan(), "peer1.org2", "malformed", None);
    let honest = scene.honest();

    scene.wait_until_counted(&honest, "ledgercast_offences_total", "malformed", 1.0);
    scene.wait_for_report("its sessions to end", |report| {
        report["sent"].as_u64() >= Some(5) && report["sessions_lost"].as_u64() >= Some(5)
    });

    scene.liar.kill().expect("it ends");
    scene.assert_the_honest_go_on();
    assert!(!scene.offences().is_empty(), "the logs name the offence");
}

/// A1
#[test]
fn alives_in_the_names_of_others_are_blamed_on_their_sender_and_their_subjects_stay() {
    let mut scene = Infiltrated::start(&plan(), "peer1.org2", "forged-alives", None);
    let honest = scene.honest();

    scene.wait_until_counted(&honest, "ledgercast_offences_total", "bad_signature", 1.0);

    // Who believed them, or took their subjects for gone, would show it within two expiries.
    let cluster = &scene.network.cluster;
    cluster.wait_for_alives("peer0.org2", "peer0.org1", ALIVES, DEADLINE).expect("genuine alives go on");
    scene.liar.kill().expect("it ends");
    scene.assert_the_honest_go_on();
    for channel in ["trade", "audit"] {
        let members: Vec<String> =
            scene.network.cluster.peers_on(channel).into_iter().filter(|peer| peer != scene.name).collect();
        scene.network.cluster.wait_for_members(&members, DEADLINE).expect("all are members as before");
    }
}

/// A18
#[test]
fn a_flood_meets_its_limits_and_costs_the_flooder_its_session_only() {
    let mut scene = Infiltrated::start(&plan(), "peer1.org2", "flood", None);
    let honest = scene.honest();

    scene.wait_until_counted(&honest, "ledgercast_refused_total", "messages_per_second", 1000.0);
    scene.wait_for_report("its sessions to end", |report| report["sessions_lost"].as_u64() >= Some(3));

    // While it goes on.
    scene.assert_the_honest_go_on();
    assert_eq!(scene.offences(), Vec::new(), "too much is no offence");
    scene.liar.kill().expect("it ends");
}

/// A16
#[test]
fn who_is_no_member_of_a_channel_hears_of_it_what_it_hears_of_none() {
    let mut scene = Infiltrated::start(&plan(), "peer1.org3", "trespass", Some("trade"));

    let report = scene.wait_for_report("answers", |report| {
        ["foreign", "missing"].iter().all(|channel| report[channel]["unknown"].as_u64() >= Some(40))
    });

    scene.liar.kill().expect("it ends");
    let (foreign, missing) = (&report["foreign"], &report["missing"]);
    assert_eq!(foreign["other"], Value::Array(Vec::new()), "only refusals of the foreign channel");
    assert_eq!(missing["other"], Value::Array(Vec::new()), "only refusals of the channel that is none");
    // Some are under way when the report is made.
    let (of_foreign, of_missing) = (foreign["unknown"].as_u64(), missing["unknown"].as_u64());
    let difference = of_foreign.unwrap_or(0).abs_diff(of_missing.unwrap_or(0));
    assert!(difference <= 16, "as many refusals of either: {report}");
    let bytes =
        |heard: &Value| heard["bytes"].as_u64().unwrap_or(0) * 1000 / heard["unknown"].as_u64().unwrap_or(1);
    assert_eq!(bytes(foreign), bytes(missing), "of the same length: {report}");
    scene.assert_the_honest_go_on();
    assert_eq!(scene.offences(), Vec::new(), "asking does not change a standing, which would tell");
}

/// A9, A11
#[test]
fn bodies_that_a_relay_alters_are_blamed_on_it_and_arrive_whole_all_the_same() {
    let plan = Plan {
        orgs: 1,
        peers_per_org: 5,
        channels: vec!["trade=org1".parse().expect("a channel")],
        ..plan()
    };
    let mut scene = Infiltrated::start(&plan, "peer4.org1", "false-bodies", None);
    let cluster = &scene.network.cluster;
    let input = cluster.folder().join("lines.txt");
    let client = cluster.user("org1", "client");
    cluster.wait_for_member(&scene.honest(), scene.name, DEADLINE).expect("the liar is a member");
    let mut blocks = 0;

    wait_for("somebody to be served by the liar", DEADLINE, || {
        std::fs::write(&input, format!("line {blocks}\n")).map_err(|error| error.to_string())?;
        client.json_lines(&["submit", "trade", "--lines", "--wait", &input.display().to_string()])?;
        blocks += 1;
        let counts = scene
            .honest()
            .into_iter()
            .map(|peer| scene.counted(&peer, "ledgercast_offences_total", "false_body"));
        let counted: f64 = counts.sum::<Result<f64, String>>()?;
        if counted >= 1.0 { Ok(()) } else { Err(format!("{blocks} blocks, {:?}", scene.report())) }
    })
    .unwrap_or_else(|error| panic!("{error}"));

    scene.assert_the_honest_go_on();
    scene.liar.kill().expect("it ends");
}

/// A15: who has the orderer's key shows two certified headers of one block.
#[test]
fn a_fork_stops_the_channel_until_operators_lift_it_and_its_proof_needs_no_server() {
    let mut scene = Infiltrated::start_with(&plan(), "peer1.org2", "fork", None, |cluster| {
        let keys = cluster.node(cluster.orderer()).home.join("msp/keystore");
        let key =
            std::fs::read_dir(keys).expect("a keystore").next().expect("a key").expect("its entry").path();
        vec!["--orderer-key".into(), key]
    });
    let on_trade = || scene.network.cluster.peers_on("trade").into_iter().filter(|peer| peer != scene.name);
    let honest: Vec<String> = on_trade().collect();
    let cluster = &scene.network.cluster;
    let genesis = |name: &str| {
        let channel = cluster.summary().channels.iter().find(|it| it.name == name).expect("a channel");
        channel.genesis.display().to_string()
    };
    let admin = |peer: &str| cluster.user(&cluster.node(peer).org, "admin");
    let evidence = |peer: &str, verb: &str, rest: &[&str]| {
        let api = cluster.node(peer).api.clone();
        let arguments = [&["--at", &api, "evidence", verb, "--channel", "trade"], rest].concat();
        admin(peer).run(&arguments).expect("it runs")
    };
    let nothing = evidence(&honest[0], "list", &[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "[]\n"), "{nothing:?}");

    cluster.wait_for_member(&honest, scene.name, DEADLINE).expect("the liar is a member");
    let input = cluster.folder().join("line.txt");
    std::fs::write(&input, "a line\n").expect("write");
    let client = cluster.user("org1", "client");
    let submit = || client.json_lines(&["submit", "trade", "--lines", &input.display().to_string()]);
    submit().expect("accepted");
    let is_halted = |peer: &str| {
        let view = cluster.channel(peer, "trade")?.unwrap_or_default();
        match view["failure"].as_str() {
            Some(failure) if failure.contains("certified") => Ok(()),
            _ => Err(format!("its failure is {}", view["failure"])),
        }
    };
    for peer in &honest {
        let halted = wait_for(&format!("{peer} to stand still"), DEADLINE, || is_halted(peer));
        halted.unwrap_or_else(|error| panic!("{error}; the liar: {:?}", scene.report()));
    }
    submit().expect("orderers go on");
    let heights: Vec<u64> = honest.iter().map(|it| cluster.height(it, "trade").expect("an answer")).collect();

    let folder = cluster.folder().join("proofs").display().to_string();
    std::fs::create_dir(&folder).expect("a folder");
    for peer in &honest {
        let listed = evidence(peer, "list", &[]);
        let proofs: Value = serde_json::from_str(&listed.stdout).expect("a list");
        assert_eq!(
            (&proofs[0]["proves"], proofs.as_array().map(Vec::len)),
            (&"fork".into(), Some(1)),
            "{peer}"
        );
    }
    let exported = evidence(&honest[0], "export", &["--out", &folder]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let file = std::fs::read_dir(&folder).expect("it").next().expect("a file").expect("its entry").path();
    let verify = |name: &str| {
        let arguments = ["evidence", "verify", "--genesis", &genesis(name), &file.display().to_string()];
        client.run(&arguments).expect("it runs")
    };
    assert_eq!(verify("trade").code, Some(0), "{:?}", verify("trade"));
    assert_ne!(verify("audit").code, Some(0), "a proof of another channel");

    scene.liar.kill().expect("it ends");
    let cluster = &mut scene.network.cluster;
    cluster.stop(&honest[0]).expect("it stops");
    cluster.start(&honest[0]).expect("it starts again");
    let view = cluster.channel(&honest[0], "trade").expect("an answer").expect("it has joined");
    assert!(view["failure"].is_string(), "the stop survives: {view}");
    let cluster = &scene.network.cluster;
    let later: Vec<u64> = honest.iter().map(|it| cluster.height(it, "trade").expect("an answer")).collect();
    assert_eq!(later, heights, "nothing was delivered");

    for peer in &honest {
        let node = cluster.node(peer);
        let arguments = ["--at", &node.api, "evidence", "lift", "--channel", "trade"];
        let lifted = cluster.user(&node.org, "admin").json(&arguments).expect("it is lifted");
        assert_eq!(lifted["was_halted"], true, "{peer}");
    }
    scene.assert_the_honest_go_on();
}
