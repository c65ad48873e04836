package main

import (
	"encoding/json"
	"time"
)

// An execCredential is what kubectl and other clients of Kubernetes exchange with
// a credential plugin: the resource ExecCredential of the API group
// client.authentication.k8s.io, in the versions v1 and v1beta1.
type execCredential struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	Spec       execCredentialSpec   `json:"spec"`
	Status     execCredentialStatus `json:"status"`
}

type execCredentialSpec struct {
	Interactive *bool `json:"interactive,omitempty"`
}

type execCredentialStatus struct {
	ExpirationTimestamp *time.Time `json:"expirationTimestamp,omitempty"`
	Token               string     `json:"token"`
}

const (
	execInfoVariable = "KUBERNETES_EXEC_INFO"
	execKind         = "ExecCredential"
	execV1           = "client.authentication.k8s.io/v1"
	execV1Beta1      = "client.authentication.k8s.io/v1beta1"
)

// readExecInfo takes in what the client says of itself. Clients too old to say
// anything know v1beta1 alone. Where nobody can be asked, nobody is.
func (p *program) readExecInfo(o *options) error {
	o.apiVersion = execV1Beta1
	text := p.getenv(execInfoVariable)
	if text == "" {
		return nil
	}
	const hint = "kubectl sets it for its plugins; the kubeconfig has to name the version client.authentication.k8s.io/v1 or v1beta1"
	var info execCredential
	if err := json.Unmarshal([]byte(text), &info); err != nil || info.Kind != execKind {
		return usageError("the environment variable "+execInfoVariable+" holds no "+execKind, hint)
	}
	if info.APIVersion != execV1 && info.APIVersion != execV1Beta1 {
		return usageError(execInfoVariable+" asks for the version "+quoted(info.APIVersion)+", which is not known", hint)
	}
	o.apiVersion = info.APIVersion
	if info.Spec.Interactive != nil && !*info.Spec.Interactive {
		o.interactive, p.unattended = false, true
	}
	return nil
}

func (p *program) printExecCredential(o *options, c *credential) error {
	if c.bound {
		return needsProof()
	}
	return p.printJSON(execCredential{APIVersion: o.apiVersion, Kind: execKind,
		Status: execCredentialStatus{expiresAt(c.expiry), string(c.token)}})
}
