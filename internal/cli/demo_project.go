package cli

import (
	"errors"
	"os"
	"path/filepath"
)

// The project of the demonstrations: it needs nothing but a shell.
var demoFiles = map[string]string{
	"add.sh": `#!/bin/sh
# add.sh A B prints the sum of two numbers.
echo $(($1 - $2))
`,
	"check.sh": `#!/bin/sh
# The test of add.sh.
got=$(sh add.sh 2 3)
if [ "$got" = 5 ]; then
	echo "ok: 2 + 3 = $got"
else
	echo "FAIL: 2 + 3 = $got, want 5"
	exit 1
fi
`,
}

// demoPatch is what repairs it.
const demoPatch = `--- a/add.sh
+++ b/add.sh
@@ -1,3 +1,3 @@
 #!/bin/sh
 # add.sh A B prints the sum of two numbers.
-echo $(($1 - $2))
+echo $(($1 + $2))
`

// demoProject writes it into a new directory, which the caller removes. project is
// where it lies, and result where something may be put.
func demoProject() (dir, project, result string, err error) {
	dir, err = os.MkdirTemp("", "pyro-demo-")
	if err != nil {
		return "", "", "", err
	}
	project, result = filepath.Join(dir, "project"), filepath.Join(dir, "result")
	err = errors.Join(os.Mkdir(project, 0o755), os.Mkdir(result, 0o755))
	for name, content := range demoFiles {
		if err == nil {
			err = os.WriteFile(filepath.Join(project, name), []byte(content), 0o644)
		}
	}
	if err != nil {
		_ = os.RemoveAll(dir)
	}
	return dir, project, result, err
}
