package wire

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

func infoToWire(i Info) *processv1.GetInfoResponse {
	return &processv1.GetInfoResponse{
		Name: i.Name, Version: i.Version, Sdk: i.SDK,
		Capabilities: i.Capabilities, InstanceId: i.InstanceID, SettingsSchemaJson: i.SettingsSchema,
	}
}

func infoFromWire(w *processv1.GetInfoResponse) Info {
	i := Info{
		Name: w.GetName(), Version: w.GetVersion(), SDK: w.GetSdk(),
		Capabilities: w.GetCapabilities(), InstanceID: w.GetInstanceId(),
	}
	if len(w.GetSettingsSchemaJson()) > 0 {
		i.SettingsSchema = w.GetSettingsSchemaJson()
	}
	return i
}

func limitsToWire(l Limits) *processv1.Limits {
	return &processv1.Limits{
		MaxConcurrency: count(l.MaxConcurrency),
		InlineMaxBytes: uint64(max(l.InlineMaxBytes, 0)),
	}
}

func limitsFromWire(w *processv1.Limits) Limits {
	return Limits{
		MaxConcurrency: int(w.GetMaxConcurrency()),
		InlineMaxBytes: int64(min(w.GetInlineMaxBytes(), math.MaxInt64)),
	}
}

func processToWire(p Process) (*processv1.Process, error) {
	description, err := json.Marshal(p.Description)
	if err != nil {
		return nil, fmt.Errorf("encode description of process %s: %w", p.Description.ID, err)
	}
	return &processv1.Process{DescriptionJson: description, Policy: policyToWire(p.Policy)}, nil
}

func processFromWire(w *processv1.Process) (Process, error) {
	p := Process{Policy: policyFromWire(w.GetPolicy())}
	if err := json.Unmarshal(w.GetDescriptionJson(), &p.Description); err != nil {
		return Process{}, fmt.Errorf("decode description: %w", err)
	}
	return p, nil
}

func policyToWire(p Policy) *processv1.Policy {
	w := &processv1.Policy{
		Isolation:      isolationToWire(p.Isolation),
		MaxConcurrency: count(p.MaxConcurrency),
		RetryAttempts:  count(p.RetryAttempts),
		Deterministic:  p.Deterministic,
		Detached:       p.Detached,
	}
	if p.Timeout > 0 {
		w.Timeout = durationpb.New(p.Timeout)
	}
	if p.RetryBackoff > 0 {
		w.RetryBackoff = durationpb.New(p.RetryBackoff)
	}
	for _, c := range p.RetryOn {
		w.RetryOn = append(w.RetryOn, retryCauses[c])
	}
	return w
}

func policyFromWire(w *processv1.Policy) Policy {
	p := Policy{
		Isolation:      isolationFromWire(w.GetIsolation()),
		MaxConcurrency: int(w.GetMaxConcurrency()),
		Timeout:        duration(w.GetTimeout()),
		RetryAttempts:  int(w.GetRetryAttempts()),
		RetryBackoff:   duration(w.GetRetryBackoff()),
		Deterministic:  w.GetDeterministic(),
		Detached:       w.GetDetached(),
	}
	for cause, c := range retryCauses {
		if slices.Contains(w.GetRetryOn(), c) {
			p.RetryOn = append(p.RetryOn, cause)
		}
	}
	slices.Sort(p.RetryOn)
	return p
}

var retryCauses = map[RetryCause]processv1.RetryCause{
	RetryPlugin:  processv1.RetryCause_RETRY_CAUSE_PLUGIN,
	RetryHost:    processv1.RetryCause_RETRY_CAUSE_HOST,
	RetryProcess: processv1.RetryCause_RETRY_CAUSE_PROCESS,
	RetryMemory:  processv1.RetryCause_RETRY_CAUSE_MEMORY,
	RetryTimeout: processv1.RetryCause_RETRY_CAUSE_TIMEOUT,
}

func isolationToWire(i Isolation) processv1.Isolation {
	switch i {
	case Shared:
		return processv1.Isolation_ISOLATION_SHARED
	case Exclusive:
		return processv1.Isolation_ISOLATION_EXCLUSIVE
	case PerJob:
		return processv1.Isolation_ISOLATION_JOB
	default:
		return processv1.Isolation_ISOLATION_UNSPECIFIED
	}
}

func isolationFromWire(w processv1.Isolation) Isolation {
	switch w {
	case processv1.Isolation_ISOLATION_SHARED:
		return Shared
	case processv1.Isolation_ISOLATION_EXCLUSIVE:
		return Exclusive
	case processv1.Isolation_ISOLATION_JOB:
		return PerJob
	default:
		return ""
	}
}

func levelToWire(l slog.Level) processv1.LogLevel {
	switch {
	case l < slog.LevelInfo:
		return processv1.LogLevel_LOG_LEVEL_DEBUG
	case l < slog.LevelWarn:
		return processv1.LogLevel_LOG_LEVEL_INFO
	case l < slog.LevelError:
		return processv1.LogLevel_LOG_LEVEL_WARN
	default:
		return processv1.LogLevel_LOG_LEVEL_ERROR
	}
}

func levelFromWire(w processv1.LogLevel) slog.Level {
	switch w {
	case processv1.LogLevel_LOG_LEVEL_DEBUG:
		return slog.LevelDebug
	case processv1.LogLevel_LOG_LEVEL_WARN:
		return slog.LevelWarn
	case processv1.LogLevel_LOG_LEVEL_ERROR:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func count(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }

func duration(d *durationpb.Duration) time.Duration {
	return max(d.AsDuration(), 0)
}
