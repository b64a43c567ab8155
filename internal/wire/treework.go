package wire

func (*WalkRequest) request()      {}
func (*HashRequest) request()      {}
func (*PullRequest) request()      {}
func (*StatRequest) request()      {}
func (*ReadRangeRequest) request() {}
func (*PutRequest) request()       {}
func (*MakeDirRequest) request()   {}
func (*MoveRequest) request()      {}
func (*RemoveRequest) request()    {}
func (*PatchRequest) request()     {}

// newTreeWork returns the request of an action on the files of the workspace that the
// base protocol does not have, or nil.
func newTreeWork(action string) Request {
	switch action {
	case ActionWalk:
		return &WalkRequest{Action: action, Path: defaultRoot}
	case ActionHash:
		return &HashRequest{Action: action, Path: defaultRoot}
	case ActionPull:
		return &PullRequest{Action: action, Path: defaultRoot}
	case ActionStat:
		return &StatRequest{Action: action}
	case ActionReadRange:
		return &ReadRangeRequest{Action: action, Length: -1}
	case ActionPut:
		return &PutRequest{Action: action}
	case ActionMakeDir:
		return &MakeDirRequest{Action: action}
	case ActionMove:
		return &MoveRequest{Action: action}
	case ActionRemove:
		return &RemoveRequest{Action: action}
	case ActionPatch:
		return &PatchRequest{Action: action}
	}
	return nil
}
