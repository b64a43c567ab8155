# Made by tools/python-autorun.py of internal/autorun/table.go. Change that one.
"""What runs by itself or is obeyed: the reason, and patterns of names."""

TABLE = (
    ("git runs it as a hook", ".git/hooks "),
    ("git runs what its settings name", ".git/config .git/config.worktree "),
    (
        "git goes by it to settings and filters, which it runs",
        ".git/commondir .git/gitdir .git/info/attributes ",
    ),
    ("git runs the filters and programs that it names, where they are configured", ".gitattributes "),
    ("git fetches and checks out what it names", ".gitmodules "),
    ("git obeys it in a home directory", ".gitconfig .config/git/ "),
    ("Mercurial runs what its settings name", ".hg/hgrc "),
    ("Jujutsu runs what its settings name", ".jj/ "),
    (
        "pre-commit runs it at each commit",
        ".pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml prek.toml ",
    ),
    ("git runs it as a hook of the project", ".husky/ .githooks/ .lefthook/ .lefthook-local/ "),
    (
        "a manager of git hooks runs what it names",
        "lefthook.yml lefthook.yaml lefthook.toml lefthook.json .lefthook.yml .lefthook.yaml "
        "lefthook-local.yml .overcommit.yml .huskyrc .huskyrc.js .huskyrc.json .lintstagedrc "
        ".lintstagedrc.json .lintstagedrc.js .lintstagedrc.yml ",
    ),
    ("direnv runs it when a shell enters the directory", ".envrc .direnv/ "),
    (
        "autoenv runs it when a shell enters the directory, and other tools take variables from it",
        ".env .autoenv .autoenv.zsh ",
    ),
    (
        "mise and asdf choose programs by it, and run its hooks, when a shell enters the directory",
        "mise.toml .mise.toml mise.local.toml .mise.local.toml .mise/ .rtx.toml .tool-versions "
        ".config/mise.toml .config/mise/ ",
    ),
    (
        "Nix evaluates it, and builds and runs what it names, when a shell is entered",
        "flake.nix shell.nix devenv.nix devenv.yaml ",
    ),
    (
        "a shell runs it when it starts or ends",
        ".bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv "
        ".zprofile .zlogin .zlogout .kshrc .mkshrc .cshrc .tcshrc .login .logout .config/fish/ "
        ".config/nushell/ profile.ps1 Microsoft.PowerShell_profile.ps1 ",
    ),
    (
        "a session runs it when it begins",
        ".xinitrc .xprofile .xsession .xsessionrc .pam_environment .inputrc .config/autostart/ "
        ".config/systemd/ .config/environment.d/ Library/LaunchAgents/ ",
    ),
    ("ssh obeys it: keys that may log in, commands to connect", ".ssh/ "),
    ("gpg obeys it: keys and programs", ".gnupg/ "),
    (
        "a client runs programs that it names to log in",
        ".aws/config .kube/config .docker/config.json .netrc ",
    ),
    (
        "an editor obeys it in the directory it is started in",
        ".vimrc .gvimrc .exrc .nvimrc .nvim.lua .lvimrc .emacs .emacs.d/ .dir-locals.el "
        ".dir-locals-2.el .ycm_extra_conf.py .config/nvim/ ",
    ),
    ("a debugger runs it when it starts", ".gdbinit .lldbinit .pdbrc .pdbrc.py "),
    (
        "an interpreter or client runs it when it starts",
        ".irbrc .pryrc .pythonrc .pythonrc.py .pythonstartup .Rprofile .Renviron .octaverc .psqlrc "
        ".sqliterc .ipython/ .jupyter/ ipython_config.py jupyter_server_config.py "
        "jupyter_notebook_config.py jupyter_lab_config.py ",
    ),
    ("a tool obeys it wherever it runs", ".tmux.conf .screenrc .wgetrc .curlrc .terraformrc terraform.rc "),
    (
        "VS Code and its relatives run tasks, and programs that settings name, when the folder is opened",
        ".vscode/ .code-workspace *.code-workspace .theia/ .vscode-server/ ",
    ),
    (
        "an editor builds a container as it says and runs its commands",
        ".devcontainer/ .devcontainer.json devcontainer.json ",
    ),
    (
        "an IDE of JetBrains runs its configurations and start-up tasks",
        ".idea/ .run/ *.run.xml *.ipr *.iws .fleet/ ",
    ),
    ("Visual Studio runs what it names", ".vs/ tasks.vs.json launch.vs.json "),
    (
        "an editor runs the tasks and programs that it names",
        ".zed/ .nova/ .helix/ .settings/ .project .classpath nbproject/ *.sublime-project "
        "*.sublime-workspace .vimspector.json ",
    ),
    (
        "a coding agent takes settings, hooks and commands from it",
        ".claude/ .claude.json .codex/ .gemini/ .cursor/ .opencode/ opencode.json opencode.jsonc "
        ".windsurf/ .roo/ .kilocode/ .kiro/ .amazonq/ .continue/ .continuerc.json .aider.conf.yml "
        ".aider.conf.yaml .goose/ .junie/ .augment/ .qwen/ .crush/ .crush.json crush.json .factory/ "
        ".trae/ .amp/ .agents/ .agent/ .copilot/ .cline/ .openhands/ .github/hooks/ ",
    ),
    (
        "an agent starts the servers that it names",
        ".mcp.json mcp.json mcp_config.json mcp-config.json .mcp/ ",
    ),
    (
        "a coding agent takes it for instructions",
        "AGENTS.md AGENTS.override.md AGENT.md CLAUDE.md CLAUDE.local.md GEMINI.md QWEN.md CRUSH.md "
        "SKILL.md WARP.md .cursorrules .windsurfrules .clinerules/ .roorules .goosehints "
        ".augment-guidelines .rules .github/copilot-instructions.md .github/instructions/ "
        ".github/prompts/ .github/chatmodes/ .github/agents/ .github/skills/ ",
    ),
    (
        "a CI server runs it after a push, with the secrets of the project",
        ".github/workflows/ .github/actions/ .forgejo/workflows/ .gitea/workflows/ .gitlab-ci.yml "
        ".gitlab-ci.yaml .gitlab/ .circleci/ Jenkinsfile .travis.yml azure-pipelines.yml "
        "azure-pipelines.yaml .azure-pipelines/ .drone.yml .drone.star .woodpecker/ .woodpecker.yml "
        ".woodpecker.yaml .buildkite/ bitbucket-pipelines.yml appveyor.yml .appveyor.yml "
        ".cirrus.yml .cirrus.star cloudbuild.yaml cloudbuild.yml buildspec.yml .teamcity/ "
        ".semaphore/ .builds/ .build.yml .tekton/ netlify.toml vercel.json wercker.yml ",
    ),
    ("npm and its relatives run its scripts at an install", "package.json binding.gyp "),
    (
        "a package manager takes its source, scripts and plugins from it",
        ".npmrc .yarnrc .yarnrc.yml .yarn/ .pnpmfile.cjs .pnpmfile.js .pnpmfile.mjs "
        "pnpm-workspace.yaml bunfig.toml deno.json deno.jsonc pip.conf pip.ini .pypirc .condarc "
        ".gemrc .bundle/ nuget.config auth.json .cargo/ ",
    ),
    (
        "tools and editors run it to read their settings",
        "*.config.js *.config.cjs *.config.mjs *.config.ts *.config.mts *.config.cts .eslintrc.js "
        ".eslintrc.cjs .prettierrc.js .prettierrc.cjs .prettierrc.mjs .babelrc.js .babelrc.cjs "
        ".mocharc.js .mocharc.cjs .stylelintrc.js .stylelintrc.cjs .pylintrc pylintrc ",
    ),
    (
        "Python runs it, or what it names, at an install, a build or a test",
        "setup.py setup.cfg pyproject.toml conftest.py pytest.ini tox.ini noxfile.py hatch_build.py "
        "tasks.py fabfile.py dodo.py ",
    ),
    ("Python runs it whenever it starts", "sitecustomize.py usercustomize.py *.pth "),
    ("editors run the Python that it belongs to", "pyvenv.cfg "),
    ("make runs it", "Makefile GNUmakefile BSDmakefile *.mk *.mak "),
    (
        "a task runner runs it",
        "justfile .justfile *.just Taskfile.yml Taskfile.yaml Taskfile.dist.yml Taskfile.dist.yaml "
        "Rakefile *.rake Gruntfile.js Gulpfile.js Procfile Vagrantfile Tiltfile Earthfile "
        "magefile.go xtask/ bacon.toml .bacon.toml Makefile.toml ",
    ),
    (
        "docker compose mounts and starts what it names",
        "compose.yaml compose.yml compose.override.yaml compose.override.yml docker-compose.yml "
        "docker-compose.yaml docker-compose.override.yml docker-compose.override.yaml ",
    ),
    ("cargo builds and runs it, also for an editor", "build.rs rust-toolchain rust-toolchain.toml "),
    (
        "a build runs it, and editors build in order to understand the code",
        "CMakeLists.txt CMakePresets.json CMakeUserPresets.json *.cmake meson.build configure "
        "configure.ac SConstruct SConscript wscript BUILD.bazel WORKSPACE WORKSPACE.bazel "
        "MODULE.bazel .bazelrc .bazelproject .buckconfig build.zig Package.swift Podfile Fastfile "
        "mix.exs rebar.config Gemfile *.gemspec composer.json build.sbt build.sc build.mill "
        "dune-project Setup.hs ",
    ),
    (
        "the Java build runs it, also for an editor",
        "*.gradle *.gradle.kts gradlew gradlew.bat gradle-wrapper.properties gradle-wrapper.jar "
        "gradle.properties .gradle/ pom.xml .mvn/ mvnw mvnw.cmd build.xml ",
    ),
    (
        "MSBuild runs its targets, also for an editor",
        "*.csproj *.vbproj *.fsproj *.vcxproj *.proj Directory.Build.props Directory.Build.targets "
        "Directory.Packages.props .config/dotnet-tools.json ",
    ),
    (
        "a desktop runs it, or what it points to, when it is opened or shown",
        "*.desktop *.directory *.lnk *.url *.scf *.library-ms *.search-ms *.webloc *.inetloc "
        "*.fileloc *.command *.terminal *.workflow *.hta *.scr *.pif *.reg *.msc desktop.ini "
        "autorun.inf ",
    ),
)
