//! `Admin`: joining, leaving and looking, for admins of the node's own org. The role is checked before a
//! request's body is read (see `server`), so nobody else makes the node take in a genesis block.

use super::caller::Caller;
use super::channel_table::Reference;
use super::directory::{AdminError, Administration, ChannelDirectory};
use super::status::unknown_channel;
use crate::rpc::admin_server::Admin;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::Block;
use ledgercast_protocol::store::StoreError;
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};

/// The service.
pub(super) struct AdminService {
    pub(super) directory: Arc<dyn ChannelDirectory>,
    pub(super) administration: Arc<dyn Administration>,
}

#[async_trait]
impl Admin for AdminService {
    async fn join_channel(
        &self,
        request: Request<proto::JoinChannelRequest>,
    ) -> Result<Response<proto::ChannelStatus>, Status> {
        let caller = admin(&request)?;
        let request = request.into_inner();
        let is_newcomer = request.newcomer;
        let genesis = genesis(request.genesis)?;
        let name = alias(&request.name, &genesis)?;
        let channel = genesis.channel();
        self.administration.join(name.clone(), genesis, is_newcomer).await?;
        tracing::info!(%caller, %channel, %name, "an admin had a channel joined");
        let statuses = self.administration.channel_statuses().await?;
        let joined = statuses.into_iter().find(|status| status.id == channel.as_bytes()[..]);
        joined.map(Response::new).ok_or_else(unknown_channel)
    }

    async fn leave_channel(
        &self,
        request: Request<proto::LeaveChannelRequest>,
    ) -> Result<Response<proto::LeaveChannelReply>, Status> {
        let caller = admin(&request)?;
        let channel = self.held(request.into_inner().channel)?;
        self.administration.leave(channel).await?;
        tracing::info!(%caller, %channel, "an admin had a channel left");
        Ok(Response::new(proto::LeaveChannelReply {}))
    }

    async fn list_channels(
        &self,
        request: Request<proto::ListChannelsRequest>,
    ) -> Result<Response<proto::ListChannelsReply>, Status> {
        admin(&request)?;
        let channels = self.administration.channel_statuses().await?;
        Ok(Response::new(proto::ListChannelsReply { channels }))
    }

    async fn members(
        &self,
        request: Request<proto::MembersRequest>,
    ) -> Result<Response<proto::MembersReply>, Status> {
        admin(&request)?;
        let channel = request.into_inner().channel;
        let channel = channel.map(|reference| self.held(Some(reference))).transpose()?;
        let members = self.administration.members(channel).await?;
        Ok(Response::new(proto::MembersReply { members }))
    }

    async fn peers(
        &self,
        request: Request<proto::PeersRequest>,
    ) -> Result<Response<proto::PeersReply>, Status> {
        admin(&request)?;
        let peers = self.administration.sessions().await?;
        Ok(Response::new(proto::PeersReply { peers }))
    }

    async fn evidence(
        &self,
        request: Request<proto::EvidenceRequest>,
    ) -> Result<Response<proto::EvidenceReply>, Status> {
        admin(&request)?;
        let channel = self.held(request.into_inner().channel)?;
        let evidence = self.administration.evidence(channel).await?;
        Ok(Response::new(proto::EvidenceReply { evidence: Some(evidence) }))
    }

    async fn lift_halt(
        &self,
        request: Request<proto::LiftHaltRequest>,
    ) -> Result<Response<proto::LiftHaltReply>, Status> {
        let caller = admin(&request)?;
        let channel = self.held(request.into_inner().channel)?;
        let was_halted = self.administration.lift_halt(channel).await?;
        tracing::warn!(%caller, %channel, was_halted, "an admin lets a channel go on after a fork");
        Ok(Response::new(proto::LiftHaltReply { was_halted }))
    }

    async fn health(
        &self,
        request: Request<proto::HealthRequest>,
    ) -> Result<Response<proto::HealthReply>, Status> {
        admin(&request)?;
        Ok(Response::new(self.administration.health().await))
    }
}

impl AdminService {
    fn held(&self, reference: Option<proto::ChannelReference>) -> Result<ChannelId, Status> {
        let reference = Reference::try_new(reference)?;
        self.directory.channels().find(&reference).ok_or_else(unknown_channel)
    }
}

/// # Errors
/// `PERMISSION_DENIED` for everybody but admins of the node's own org.
pub(super) fn admin<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = Caller::of(request)?;
    caller.standing().require_admin()?;
    Ok(caller)
}

fn genesis(block: Option<proto::Block>) -> Result<Genesis, Status> {
    let invalid = |error: &dyn std::fmt::Display| Status::invalid_argument(error.to_string());
    let block = block.ok_or_else(|| Status::invalid_argument("the genesis block is missing"))?;
    let block = Block::try_from(block).map_err(|error| invalid(&error))?;
    Genesis::try_new(block).map_err(|error| invalid(&error))
}

fn alias(name: &str, genesis: &Genesis) -> Result<ChannelName, Status> {
    match name {
        "" => Ok(genesis.config().name().clone()),
        name => name.parse().map_err(|error| Status::invalid_argument(format!("{error}"))),
    }
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        let text = error.to_string();
        match error {
            AdminError::NotEntitled(_) => Self::failed_precondition(text),
            AdminError::NotJoined(_) | AdminError::Store(StoreError::UnknownChannel(_)) => unknown_channel(),
            AdminError::Store(StoreError::ChannelExists { .. }) => Self::already_exists(text),
            AdminError::TooMany(_) => Self::resource_exhausted(text),
            AdminError::Store(_) => Self::internal(text),
            AdminError::Stopping => Self::unavailable(text),
        }
    }
}
