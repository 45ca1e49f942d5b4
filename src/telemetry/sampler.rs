//! Which traces are kept, where no caller has decided it.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// Keeps the trace of a call as its caller decided, and else this share of all. What follows from a call, a mail or the
/// publication of an event, has a trace of its own that is linked to the call's: it is kept if that is, so that a story is
/// there from its beginning to its end or not at all.
pub(super) fn sampler(ratio: f64) -> Sampler {
    Sampler::ParentBased(Box::new(FollowLinks(Sampler::TraceIdRatioBased(ratio))))
}

#[derive(Debug, Clone)]
struct FollowLinks(Sampler);

impl ShouldSample for FollowLinks {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let Some(link) = links.first() else {
            return self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        };
        let kept = link.span_context.is_sampled();
        SamplingResult {
            decision: if kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, |cx| cx.span().span_context().trace_state().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn decide(ratio: f64, linked: Option<TraceFlags>) -> SamplingDecision {
        let (trace, span) = (TraceId::from(u128::MAX), SpanId::from(7));
        let links: Vec<Link> = linked
            .map(|flags| Link::with_context(SpanContext::new(trace, span, flags, true, TraceState::default())))
            .into_iter()
            .collect();
        sampler(ratio).should_sample(None, trace, "send", &SpanKind::Producer, &[], &links).decision
    }

    #[test]
    fn what_follows_is_kept_with_what_it_follows_from() {
        for ratio in [0.0, 1.0] {
            assert_eq!(decide(ratio, Some(TraceFlags::SAMPLED)), SamplingDecision::RecordAndSample);
            assert_eq!(decide(ratio, Some(TraceFlags::default())), SamplingDecision::Drop);
        }
        assert_eq!(decide(0.0, None), SamplingDecision::Drop);
        assert_eq!(decide(1.0, None), SamplingDecision::RecordAndSample);
    }
}
