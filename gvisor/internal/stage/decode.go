package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile is the most that a stage file may have, in bytes.
const maxFile = 1 << 20

// Read decodes and checks the stage file of that name.
func Read(file string) (*Stage, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	s, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// Decode decodes and checks the content of a stage file. It refuses more than
// 1 MiB, names that are not exactly those of Stage, a name given twice, and
// anything behind the object.
func Decode(data []byte) (*Stage, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	s := new(Stage)
	if err := s.decode(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// decode goes through the object by hand: Unmarshal would take "root" for Root,
// and of a name given twice the last one.
func (s *Stage) decode(d *json.Decoder) error {
	fields := map[string]any{
		"Root": &s.Root, "Dirs": &s.Dirs, "Public": &s.Public, "Files": &s.Files,
		"Links": &s.Links, "Binds": &s.Binds, "Tmpfs": &s.Tmpfs,
	}
	seen := make(map[string]bool, len(fields))
	if start, err := d.Token(); err != nil {
		return err
	} else if start != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string) // a key is nothing else
		field, ok := fields[name]
		if !ok {
			return fmt.Errorf("unknown field %q", name)
		}
		if seen[name] {
			return fmt.Errorf("field %q is given twice", name)
		}
		seen[name] = true
		if err := d.Decode(field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}
